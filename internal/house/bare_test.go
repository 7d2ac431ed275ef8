package house

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

var action = regexp.MustCompile("(?s)\\{\\{(?:[^\"`}]|\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`|\\}[^}])*\\}\\}")

// noText are parts of templates that are the width of a page or inside a tag.
var noText = regexp.MustCompile(`(?s)\{\{define "(?:width">?\}\}|width"\}\})[a-z]*\{\{end\}\}|\{\{define "[a-z-]+"\}\}(?:\{\{with \.Autocomplete\}\})? [a-z-]+=.*?\n|</?noscript>`)

// bare are the texts and attributes of a template that no function translates.
func bare(text string) (found []string) {
	text = noText.ReplaceAllString(text, "")
	z := html.NewTokenizer(strings.NewReader(action.ReplaceAllString(text, "\x01")))
	hidden := "" // inside an element whose text is no sentence
	for {
		switch z.Next() {
		case html.ErrorToken:
			return found
		case html.TextToken:
			if hidden == "script" {
				found = append(found, inScript.FindAllString(string(z.Raw()), -1)...)
			}
			if s := strings.TrimSpace(string(z.Text())); hidden == "" && letters(strings.ReplaceAll(s, "\x01", "")) && !allWords(s) {
				found = append(found, s)
			}
		case html.StartTagToken:
			tok := z.Token()
			if hidden == "" && slices.Contains([]string{"code", "pre", "script", "style"}, tok.Data) {
				hidden = tok.Data
			}
			found = append(found, bareAttributes(tok)...)
		case html.SelfClosingTagToken:
			found = append(found, bareAttributes(z.Token())...)
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == hidden {
				hidden = ""
			}
		}
	}
}

// inScript is a word for people in a script of a page, which gets it as data.
var inScript = regexp.MustCompile("[\"'`][A-Z][a-z]+[ .\"'`]")

func bareAttributes(tok html.Token) (found []string) {
	for _, a := range tok.Attr {
		told := slices.Contains([]string{"title", "placeholder", "aria-label", "data-label", "alt"}, a.Key) ||
			a.Key == "value" && tok.Data == "input" && slices.Contains(tok.Attr, html.Attribute{Key: "type", Val: "submit"})
		if s := strings.ReplaceAll(a.Val, "\x01", ""); told && letters(s) && !allWords(a.Val) {
			found = append(found, a.Key+"="+a.Val)
		}
	}
	return found
}

// allWords tells whether nothing but names that are the same everywhere stands there.
func allWords(s string) bool {
	for part := range strings.SplitSeq(s, "\x01") {
		if part = strings.Trim(strings.TrimSpace(part), ".,:;()·/ "); part != "" && letters(part) && !words.MatchString(part) {
			return false
		}
	}
	return true
}
