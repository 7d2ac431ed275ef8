package scimmodel

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Exchange is a request and its answer.
type Exchange struct {
	Request
	Answer
}

// Serial looks for an order of what several clients did at once, each one's
// requests in its own order, that explains every answer and the reads afterwards.
// It gives the model after it, or nil.
func Serial(m *Model, histories [][]Exchange, reads []Exchange) *Model {
	done := true
	for i, h := range histories {
		if len(h) == 0 {
			continue
		}
		done = false
		next := m.Clone()
		if next.Check(h[0].Request, h[0].Answer) != nil {
			continue
		}
		rest := slices.Clone(histories)
		rest[i] = h[1:]
		if found := Serial(next, rest, reads); found != nil {
			return found
		}
	}
	if !done {
		return nil
	}
	last := m.Clone()
	for _, e := range reads {
		if last.Check(e.Request, e.Answer) != nil {
			return nil
		}
	}
	return last
}

// Together makes what several clients send at once to the same few resources: n
// requests each.
func (s *Source) Together(clients, n int) [][]Step {
	out := make([][]Step, clients)
	for i := range out {
		for range n {
			out[i] = append(out[i], s.contended())
		}
	}
	return out
}

func (s *Source) contended() Step {
	switch s.rng.IntN(16) {
	case 12, 13, 14, 15:
		return apart(s.swap())
	case 0:
		return apart(s.create("Users"))
	case 1:
		return apart(s.create("Groups"))
	case 2:
		return apart(s.change(http.MethodPut, "Users"))
	case 3:
		return apart(s.change(http.MethodPut, "Groups"))
	case 4:
		return apart(s.change(http.MethodDelete, "Users"))
	case 5, 6, 7:
		return apart(s.change(http.MethodPatch, "Users"))
	}
	return apart(s.change(http.MethodPatch, "Groups"))
}

// swap takes one user out of a group and puts another in, at times with a change of the
// document: parts that must not mix with those of somebody else's swap.
func (s *Source) swap() Step {
	ops := []any{operation("remove", `members[value eq "`+s.ref("Users")+`"]`, nil), operation("add", "members", []any{map[string]any{"value": s.ref("Users")}})}
	if s.one(2) {
		ops = append(ops, operation("replace", "externalId", pick[any](s, "G3", "G4", "G5", "G6")))
	}
	return Step{Request: Request{Method: http.MethodPatch, Path: "/Groups/" + s.ref("Groups"), Body: body(map[string]any{"schemas": []any{patchURN}, "Operations": ops}), Head: map[string]string{}}}
}

// apart asks for an answer without groups and members: they are other resources,
// read after the change and not at its moment.
func apart(step Step) Step {
	step.Path, _, _ = strings.Cut(step.Path, "?")
	step.Path += "?excludedAttributes=groups,members"
	return step
}

// Base makes what they contend for.
func (s *Source) Base() []Step {
	return []Step{s.create("Users"), s.create("Users"), s.create("Users"), s.create("Groups"), s.create("Groups")}
}

// Session is a directory that several clients share.
type Session struct{ r *runner }

// NewSession begins with an empty directory whose clock may stand still.
func NewSession(base string, strict bool, send Client) *Session {
	m := New(base, strict)
	m.coarse = true
	return &Session{&runner{m: m, send: send, ids: map[string]string{}}}
}

// Step is one request, checked at once.
func (s *Session) Step(step Step) error { return s.r.step(step) }

// Round sends each client's requests in its own goroutine, as run starts them, and
// looks for an order that explains what came back.
func (s *Session) Round(clients [][]Step, run func(n int, f func(i int))) error {
	histories := make([][]Exchange, len(clients))
	requests := make([][]Request, len(clients))
	for i, steps := range clients {
		for _, step := range steps {
			requests[i] = append(requests[i], s.r.request(step))
		}
	}
	run(len(clients), func(i int) {
		for _, q := range requests[i] {
			histories[i] = append(histories[i], Exchange{q, s.r.send(q)})
		}
	})
	var reads []Exchange
	for _, path := range []string{"/Users?count=1000", "/Groups?count=1000"} {
		q := Request{Method: http.MethodGet, Path: path}
		reads = append(reads, Exchange{q, s.r.send(q)})
	}
	after := Serial(s.r.m, histories, reads)
	if after == nil {
		return s.unexplained(histories, reads)
	}
	s.r.m = after
	for i, steps := range clients {
		for j, step := range steps {
			if e := histories[i][j]; step.Makes != "" && e.Status == http.StatusCreated {
				s.r.ids[step.Makes] = idIn(e.Answer)
			}
		}
	}
	return nil
}

func (s *Session) unexplained(histories [][]Exchange, reads []Exchange) error {
	var b strings.Builder
	fmt.Fprintf(&b, "no order of these explains their answers and the reads afterwards.\nBefore:")
	for _, r := range s.r.m.all {
		fmt.Fprintf(&b, "\n  %s %s %s %s", r.k.name, r.id, r.tag, canonical(r.doc))
	}
	for i, h := range histories {
		for _, e := range h {
			fmt.Fprintf(&b, "\nClient %d: %s\n  %d %s", i+1, curl(e.Request), e.Status, e.Answer.Body)
		}
	}
	for _, e := range reads {
		fmt.Fprintf(&b, "\nThen: %s", e.Answer.Body)
	}
	return fmt.Errorf("%s", b.String())
}
