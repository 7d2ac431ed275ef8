package texts

import (
	"sync"

	"github.com/muster-id/muster/internal/access"
)

// Known are sentences that are stored in English, where programs read them: Read finds
// which one a text was made of, so that a page says it in its reader's language. Reader.Kept
// does so for all that the catalogue has, where a text can be any of it.
// The shapes are made when the first text is read: most programs read none.
type Known struct{ list func() []shape }

// Know makes them of formats for fmt.
func Know(formats ...string) Known {
	return Known{sync.OnceValue(func() []shape {
		list := make([]shape, len(formats))
		for i, f := range formats {
			list[i] = shapeOf(f)
		}
		return list
	})}
}

// Read is the sentence that text says; what is none of these is shown as it is.
func (k Known) Read(text string) Said {
	if text == "" {
		return Said{}
	}
	if s, ok := k.find(text); ok {
		return s
	}
	return Say("%s", text)
}

func (k Known) find(text string) (Said, bool) {
	for _, one := range k.list() {
		if found, ok := one.read(text); ok {
			return Say(one.format, k.args(one.verbs, found)...), true
		}
	}
	return Said{}, false
}

func (k Known) args(verbs []byte, found []string) (args []any) {
	for i, text := range found {
		arg := argument(verbs[i], text)
		if verbs[i] == 'v' { // a sentence of these itself
			said, ok := k.find(text)
			if !ok {
				said = Say(text)
			}
			arg = said
		}
		args = append(args, arg)
	}
	return args
}

var named = Know(access.CommandLine, access.UnnamedKey, access.AsPlannedBy)

// Who is whoever did something, as a record has kept the name: who is no person has it from
// us, and is called in the reader's language.
func Who(name string) Said { return named.Read(name) }
