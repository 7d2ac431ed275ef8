package session

import "strings"

// The browsers and systems that people have, in the order in which their names must be
// looked for: each of the later browsers is also claimed by an earlier one.
var (
	browsers = [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}}
	systems = [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Macintosh", "macOS"}, {"Linux", "Linux"}}
)

// Device is what people call the browser and system behind a User-Agent: "Firefox on
// Windows". Versions are frozen or invented by now and say nothing. Empty: it is unknown.
func Device(agent string) string {
	browser, system := known(browsers, agent), known(systems, agent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	}
	return system
}

func known(list [][2]string, agent string) string {
	for _, k := range list {
		if strings.Contains(agent, k[0]) {
			return k[1]
		}
	}
	return ""
}

// Device is the session's browser and system in words.
func (s Session) Device() string { return Device(s.UserAgent) }
