-- Nearly all results of a job say that it was done, and those are found in their order
-- anyway: what was skipped and what failed is looked for alone.
DROP INDEX job_results_state;
CREATE INDEX job_results_other ON job_results (org_id, job_id, state, n) WHERE state <> 'done';
