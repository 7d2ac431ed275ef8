package texts

import "github.com/muster-id/muster/internal/fault"

// Said is a sentence of ours that waits for its reader: made where nobody knows yet who
// reads, shown by t in templates, also as an argument of another sentence.
type Said struct {
	english string
	one     string // with it, the sentence is about n of something
	n       int
	args    []any
}

// Say makes one.
func Say(english string, args ...any) Said { return Said{english: english, args: args} }

// SayN makes one about n of something, see Reader.N.
func SayN(n int, one, other string, args ...any) Said {
	return Said{english: other, one: one, n: n, args: args}
}

// SaidBy are the sentences of a fault, for a reader to come; zero when err brings none.
func SaidBy(err error) (said Said) {
	for _, one := range fault.All(err) {
		next := Say(one.Public)
		if format, args := fault.Said(one); len(args) > 0 {
			next = Say(format, args...)
		}
		if said.IsZero() {
			said = next
		} else {
			said = Say("%s %s", said, next)
		}
	}
	return said
}

// Say is the sentence in the reader's language.
func (r Reader) Say(s Said) string {
	if s.one != "" {
		return r.N(s.n, s.one, s.english, s.args...)
	}
	return r.T(s.english, s.args...)
}

// String is the English sentence.
func (s Said) String() string { return Reader{}.Say(s) }

// IsZero tells that there is nothing to say.
func (s Said) IsZero() bool { return s.english == "" }
