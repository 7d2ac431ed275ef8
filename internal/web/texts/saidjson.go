package texts

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/muster-id/muster/internal/fault"
)

// saidJSON is a Said as it is stored until somebody reads it. Arguments are texts, words of
// ours, whole numbers and times; anything else becomes its text.
type saidJSON struct {
	Sentence string `json:"sentence"`
	One      string `json:"one,omitempty"`
	N        int    `json:"n,omitempty"`
	Args     []arg  `json:"args,omitempty"`
}

type arg struct {
	Text string     `json:"text,omitempty"`
	Word fault.Word `json:"word,omitempty"`
	N    *int64     `json:"n,omitempty"`
	At   *time.Time `json:"at,omitempty"`
	Said *Said      `json:"said,omitempty"`
	Kept kept       `json:"kept,omitempty"`
}

// kept is what an error said that brings no sentence for people, see Reader.Kept.
type kept string

// MarshalJSON keeps the sentence for a reader to come.
func (s Said) MarshalJSON() ([]byte, error) {
	out := saidJSON{Sentence: s.english, One: s.one, N: s.n}
	for _, v := range s.args {
		out.Args = append(out.Args, argOf(v))
	}
	return json.Marshal(out)
}

func argOf(v any) arg {
	switch v := v.(type) {
	case Said:
		return arg{Said: &v}
	case fault.Word:
		return arg{Word: v}
	case fault.Some:
		s := SayN(v.N, v.One, v.Other)
		return arg{Said: &s}
	case error:
		if s := SaidBy(v); !s.IsZero() {
			return arg{Said: &s}
		}
		return arg{Kept: kept(v.Error())}
	case kept:
		return arg{Kept: v}
	}
	if at, ok := Moment(v); ok {
		return arg{At: &at}
	}
	if is := reflect.ValueOf(v); is.CanInt() {
		n := is.Int()
		return arg{N: &n}
	}
	return arg{Text: fmt.Sprint(v)}
}

// UnmarshalJSON reads what MarshalJSON wrote, and a text that is a sentence by itself.
func (s *Said) UnmarshalJSON(text []byte) error {
	var whole string
	if json.Unmarshal(text, &whole) == nil {
		*s = Say(whole)
		return nil
	}
	var in saidJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*s = Said{english: in.Sentence, one: in.One, n: in.N}
	for _, a := range in.Args {
		switch {
		case a.N != nil:
			s.args = append(s.args, *a.N)
		case a.Word != "":
			s.args = append(s.args, a.Word)
		case a.At != nil:
			s.args = append(s.args, *a.At)
		case a.Said != nil:
			s.args = append(s.args, *a.Said)
		case a.Kept != "":
			s.args = append(s.args, a.Kept)
		default:
			s.args = append(s.args, a.Text)
		}
	}
	return nil
}
