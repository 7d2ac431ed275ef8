package operate

// EntryEvery is how often an entry is recorded.
const EntryEvery = entryEvery
