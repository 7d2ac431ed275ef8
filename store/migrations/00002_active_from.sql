-- Since when a person has been active without a break, as far as that began with a
-- change of state. A session that is older was started before access was ended.
ALTER TABLE users ADD COLUMN active_from {{int}} NOT NULL DEFAULT 0;
