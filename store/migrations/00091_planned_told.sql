-- Why a planned change was passed over, as a sentence that waits for its reader; package
-- life owns the table. Empty: outcome says it in English alone.
ALTER TABLE planned_changes ADD COLUMN told TEXT NOT NULL DEFAULT '';
