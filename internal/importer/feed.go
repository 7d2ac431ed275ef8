package importer

import "github.com/muster-id/muster/store"

// FeedID names a feed.
type FeedID = store.ID[Feed]

// Feed is a place from which files with people are fetched on a schedule.
type Feed struct {
	ID   FeedID
	Name string
}
