-- A large review is written down some people at a time: people are in its scope, prepared
-- of them are written down, the last of them at prepared_at (0: all in the transaction that
-- started it). work_at is when a server goes on with that, or with clearing away what was
-- cancelled; ended_why is why Muster cancelled it.
ALTER TABLE reviews ADD COLUMN people {{int}} NOT NULL DEFAULT 0;
ALTER TABLE reviews ADD COLUMN prepared {{int}} NOT NULL DEFAULT 0;
ALTER TABLE reviews ADD COLUMN prepared_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE reviews ADD COLUMN work_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE reviews ADD COLUMN ended_why TEXT NOT NULL DEFAULT '';
CREATE INDEX reviews_work ON reviews (work_at) WHERE work_at > 0;

-- Whom of a review's people it has still to write down; people is a list of ids.
CREATE TABLE review_parts (
  org_id    {{id}} NOT NULL,
  review_id {{id}} NOT NULL,
  part      {{int}} NOT NULL,
  people    {{json}} NOT NULL,
  PRIMARY KEY (org_id, review_id, part)
){{strict}};
