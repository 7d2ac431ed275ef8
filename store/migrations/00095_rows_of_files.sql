-- The cells of a line are read and written whole, never searched: as text they are spared
-- two translations.
{{lines_as_text}}
