package web

import "testing"

func TestASpreadsheetRunsNoCell(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Ada": "Ada", "": "", "ada@example.com": "ada@example.com", "a=b": "a=b", "2-3": "2-3",
		"=HYPERLINK(1)": "'=HYPERLINK(1)", "+1": "'+1", "-1+cmd|' /C calc'!A0": "'-1+cmd|' /C calc'!A0", "@SUM(1)": "'@SUM(1)",
		"\t=1": "'\t=1", "\r=1": "'\r=1", " =1": "' =1", "＝1": "'＝1", "|x": "'|x", "'=1": "'=1",
	} {
		if got := SafeCell(in); got != want {
			t.Errorf("SafeCell(%q) = %q, want %q", in, got, want)
		}
	}
}
