package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// result is one benchmark: every figure by its unit, as often as it ran.
type result struct {
	name    string // "Door/create", without the clients and the processors
	clients string // "32", or empty
	figures map[string][]float64
}

// results are in the order in which they ran.
type results []*result

func (l results) add(more results) results {
	for _, r := range more {
		at := slices.IndexFunc(l, func(have *result) bool { return have.name == r.name && have.clients == r.clients })
		if at < 0 {
			l = append(l, r)
			continue
		}
		for unit, values := range r.figures {
			l[at].figures[unit] = append(l[at].figures[unit], values...)
		}
	}
	return l
}

// get is the median; ok tells whether there is one.
func (r *result) get(unit string) (median float64, ok bool) {
	list := slices.Sorted(slices.Values(r.figures[unit]))
	if len(list) == 0 {
		return 0, false
	}
	return list[len(list)/2], true
}

var benchLine = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// parse reads what go test prints.
func parse(text string) results {
	var all results
	for line := range strings.Lines(text) {
		found := benchLine.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		r := &result{name: found[1], figures: map[string][]float64{}}
		if name, clients, ok := strings.Cut(r.name, "/clients="); ok {
			r.name, r.clients = name, clients
		}
		fields := strings.Fields(found[2])
		for i := 0; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r.figures[fields[i+1]] = append(r.figures[fields[i+1]], v)
			}
		}
		all = all.add(results{r})
	}
	return all
}
