package view

import "testing"

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"Bericht für Anna.docx":   "Bericht für Anna.docx",
		"a\x00b\nc\x7f":           "a␀b␊c␡",
		"\xff\xfe":                "\uFFFD\uFFFD",
		"a\u202egpj.exe":          "a\uFFFDgpj.exe",
		"\u2066x\u2069 \u2028":    "\uFFFDx\uFFFD \uFFFD",
		"\u0085":                  "\uFFFD",
		"שלום":                    "שלום",
		"<img src=x onerror=1>":   "<img src=x onerror=1>",
		"kept: \uFFFD and emoji😀": "kept: \uFFFD and emoji😀",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}
