package mail

import "time"

// LookEvery sets how often Run looks for what another server queued.
func (o *Outbox) LookEvery(pause time.Duration) { o.pause = pause }
