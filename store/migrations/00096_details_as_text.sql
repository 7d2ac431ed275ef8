-- What is told of a change is read and written whole, never searched: as text it is spared two
-- translations.
{{details_as_text}}
