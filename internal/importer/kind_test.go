package importer

import "github.com/muster-id/muster/internal/jobs"

// Kind is the job, for tests that stand around it.
func (d *Door) Kind() jobs.Kind { return d.kind() }
