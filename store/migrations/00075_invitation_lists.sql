-- The job that invites a long list; package invite owns these tables.
ALTER TABLE invitation_batches ADD COLUMN job_id {{id}};
