-- Package mail owns the outbox. state: queued, sent, failed, or kept (the built-in
-- mailbox). text and html hold links with secrets; they are emptied after sending.
CREATE TABLE mails (
  org_id     {{id}} NOT NULL,
  id         {{id}} NOT NULL,
  recipient  TEXT NOT NULL,
  subject    TEXT NOT NULL,
  text       TEXT NOT NULL,
  html       TEXT NOT NULL,
  state      TEXT NOT NULL,
  tries      {{int}} NOT NULL DEFAULT 0,
  next_at    {{int}} NOT NULL,
  created_at {{int}} NOT NULL,
  sent_at    {{int}} NOT NULL DEFAULT 0,
  error      TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX mails_due ON mails (next_at) WHERE state = 'queued';
CREATE INDEX mails_id ON mails (id);
