package texts

import (
	"encoding/json"
	"fmt"
	"time"
)

// saidJSON is a Said as it is stored until somebody reads it. Arguments are texts, whole
// numbers and times; anything else becomes its text.
type saidJSON struct {
	Sentence string `json:"sentence"`
	One      string `json:"one,omitempty"`
	N        int    `json:"n,omitempty"`
	Args     []arg  `json:"args,omitempty"`
}

type arg struct {
	Text string     `json:"text,omitempty"`
	N    *int       `json:"n,omitempty"`
	At   *time.Time `json:"at,omitempty"`
	Said *Said      `json:"said,omitempty"`
}

// MarshalJSON keeps the sentence for a reader to come.
func (s Said) MarshalJSON() ([]byte, error) {
	out := saidJSON{Sentence: s.english, One: s.one, N: s.n}
	for _, v := range s.args {
		switch v := v.(type) {
		case int:
			out.Args = append(out.Args, arg{N: &v})
			continue
		case Said:
			out.Args = append(out.Args, arg{Said: &v})
			continue
		}
		if at, ok := Moment(v); ok {
			out.Args = append(out.Args, arg{At: &at})
		} else {
			out.Args = append(out.Args, arg{Text: fmt.Sprint(v)})
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Said) UnmarshalJSON(text []byte) error {
	var in saidJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*s = Said{english: in.Sentence, one: in.One, n: in.N}
	for _, a := range in.Args {
		switch {
		case a.N != nil:
			s.args = append(s.args, *a.N)
		case a.At != nil:
			s.args = append(s.args, *a.At)
		case a.Said != nil:
			s.args = append(s.args, *a.Said)
		default:
			s.args = append(s.args, a.Text)
		}
	}
	return nil
}
