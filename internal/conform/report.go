package conform

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Text is the report for a terminal: what is wrong first to last, with the requests
// that show it, and the sums.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "SCIM conformance of %s\n\n", r.Server)
	for _, one := range r.Checks {
		if one.Result == Passed {
			continue
		}
		fmt.Fprintf(&b, "%s  %s\n    %s\n    %s (%s)\n", mark(one.Result), one.ID, one.Why, one.Title, one.Source)
		if one.Result != Failed {
			continue
		}
		if len(one.Breaks) > 0 {
			fmt.Fprintf(&b, "    breaks: %s\n", strings.Join(one.Breaks, ", "))
		}
		for _, e := range one.Exchanges {
			fmt.Fprintf(&b, "      %s\n", e.Request)
			if e.Sent != "" {
				fmt.Fprintf(&b, "        %s\n", e.Sent)
			}
			fmt.Fprintf(&b, "      -> %d %s\n", e.Status, strings.TrimSpace(e.Got))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", r.sums())
	if r.Stopped != "" {
		fmt.Fprintf(&b, "not whole: %s\n", r.Stopped)
	}
	for _, v := range slices.Sorted(maps.Keys(r.Breaks)) {
		fmt.Fprintf(&b, "%s would meet: %s\n", v, strings.Join(r.Breaks[v], ", "))
	}
	for _, path := range r.Left {
		fmt.Fprintf(&b, "could not be deleted again: %s%s\n", r.Server, path)
	}
	return b.String()
}

func mark(result string) string {
	return map[string]string{Failed: "FAIL", Skipped: "skip", Unsupported: "none"}[result]
}

func (r Report) sums() string {
	s := r.Summary
	return fmt.Sprintf("%d passed, %d failed, %d not supported as announced, %d skipped.", s.Passed, s.Failed, s.Unsupported, s.Skipped)
}

// Markdown is the report as a page. It has nothing in it that differs from run to
// run of a server that passes.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# SCIM conformance of %s\n\n%s\n\n", r.Server, r.sums())
	for _, v := range slices.Sorted(maps.Keys(r.Breaks)) {
		fmt.Fprintf(&b, "- **%s** would meet: %s\n", v, strings.Join(r.Breaks[v], ", "))
	}
	area := ""
	for _, one := range r.Checks {
		if head, _, _ := strings.Cut(one.ID, "."); head != area {
			area = head
			fmt.Fprintf(&b, "\n## %s\n\n| Check | What | Source | Result |\n|---|---|---|---|\n", area)
		}
		result := one.Result
		if one.Why != "" {
			result += ": " + one.Why
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", one.ID, cell(one.Title), cell(one.Source), cell(result))
	}
	return b.String()
}

// cell is text that stays in one cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;").Replace(s)
}
