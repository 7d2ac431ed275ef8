package review

import (
	"context"

	"github.com/muster-id/muster/store"
)

// Small has s write down so many people at a time, and so many rows of a review.
func Small(s *Service, people, rows int) *Service {
	s.atOnce, s.most = people, rows
	return s
}

// Step does the next thing for a review.
func (s *Service) Step(ctx context.Context, org store.OrgID, id ID) error {
	return s.step(ctx, dueOne{Org: org, ID: id})
}
