package texts

import "testing"

func TestShown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                               "",
		" ":                              " ",
		"Ada Lovelace":                   "Ada Lovelace",
		"Łukasz 李 Zoë":                   "Łukasz 李 Zoë",
		"👩‍💻":                            "👩‍💻",
		"مها":                            "\u2068مها\u2069",
		"שרה 7":                          "\u2068שרה 7\u2069",
		"a\u202eb":                       "\u2068a\u202eb\u2069",
		"a\u2069b\u202ec":                "\u2068ab\u202ec\u2069",
		"a\u2067b":                       "\u2068a\u2067b\u2069\u2069",
		"a\u2067b\u2069c":                "\u2068a\u2067b\u2069c\u2069",
		"a\u202e\u2029b":                 "\u2068a\u202e b\u2069",
		"\u200b":                         "[U+200B]",
		"\u3164 \u00ad":                  "[U+3164 U+0020 U+00AD]",
		"\u202e\u115f":                   "[U+202E U+115F]",
		"\ufeff\u2060\u2800\ufe0f":       "[U+FEFF U+2060 U+2800 U+FE0F]",
		"\u200b\u200b\u200b\u200b\u200b": "[U+200B U+200B U+200B U+200B …]",
	} {
		if got := Shown(text); got != want {
			t.Errorf("Shown(%+q) = %+q, want %+q", text, got, want)
		}
	}
	page := Reader{OnPage: true}
	for _, c := range []struct{ got, want string }{
		{page.T("Delete %s?", "a\u202eb"), "Delete \u2068a\u202eb\u2069?"},
		{page.T("Delete %s?", "\u200b"), "Delete [U+200B]?"},
		{page.T("Delete %.3s?", "مها بنت"), "Delete \u2068مها\u2069?"},
		{page.T("%.40q is taken.", "a\u202eb"), `"a\u202eb" is taken.`},
		{page.T("Really: %s", Say("Delete %s?", "مها")), "Really: Delete \u2068مها\u2069?"},
		{Reader{}.T("Delete %s?", "a\u202eb"), "Delete a\u202eb?"},
	} {
		if c.got != c.want {
			t.Errorf("%+q, want %+q", c.got, c.want)
		}
	}
}
