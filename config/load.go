package config

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Input is what the settings are made from.
type Input struct {
	Flags    map[string]string // by flag name, without dashes: only what was given
	Env      []string          // NAME=value, as os.Environ gives them
	File     []Entry           // the decoded configuration file
	FileName string
	ReadFile func(name string) ([]byte, error) // for secrets in files; nil is os.ReadFile

	// Checks are the caller's own checks of a setting's text, by key, for rules
	// that belong to another package.
	Checks map[string]func(text string) error
}

// Entry is one leaf of the configuration file. A list is its items joined by commas.
type Entry struct {
	Key  string
	Text string
	Line int
}

// Value is a setting as it was found.
type Value struct {
	Setting
	Text   string // as given; the default when nothing was
	Origin string // "default", "flag --http-addr", "environment MUSTER_HTTP_ADDR", "muster.yaml line 3"
}

// Config is the settings and where each came from.
type Config struct {
	Settings
	Values []Value
}

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Key     string // or the name that is unknown
	Value   string
	Origin  string
	Problem string
	Example string
}

// String is one line: key, origin, value, what is wrong, an example.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Key)
	if f.Origin != "" {
		fmt.Fprintf(&b, " (%s)", f.Origin)
	}
	if f.Value != "" {
		fmt.Fprintf(&b, " %q", f.Value)
	}
	b.WriteString(" " + f.Problem + ".")
	if f.Example != "" {
		fmt.Fprintf(&b, " Example: %s", f.Example)
	}
	return b.String()
}

// Faults is everything that is wrong. It is the only error that Load returns.
type Faults []Fault

func (f Faults) Error() string {
	var b strings.Builder
	noun := "faults"
	if len(f) == 1 {
		noun = "fault"
	}
	fmt.Fprintf(&b, "the configuration has %d %s:", len(f), noun)
	for _, one := range f {
		b.WriteString("\n  - " + one.String())
	}
	return b.String()
}

// Load merges the sources, parses and checks every value, and reports all faults at once.
func Load(in Input) (*Config, error) {
	if in.ReadFile == nil {
		in.ReadFile = os.ReadFile
	}
	l := loader{in: in, catalog: Catalog()}
	flags := l.fromFlags()
	env := l.fromEnv()
	file := l.fromFile()

	c := &Config{}
	for _, d := range l.catalog {
		v, given := l.pick(d, flags, env, file)
		c.Values = append(c.Values, v)
		if v.Text == "" && !given {
			continue
		}
		if err := l.parse(&c.Settings, v, given); err != nil {
			l.faults = append(l.faults, Fault{Key: d.Key, Origin: v.Origin, Value: hide(v), Problem: err.Error(), Example: d.Example})
		}
	}
	if len(l.faults) == 0 {
		l.faults = c.check()
	}
	if len(l.faults) > 0 {
		return nil, Faults(l.faults)
	}
	return c, nil
}

type loader struct {
	in      Input
	catalog []Setting
	faults  []Fault
}

// found is a value in one source: directly, or in a file of its own.
type found struct {
	text, origin         string
	fileName, fileOrigin string
}

func (l *loader) fromFlags() map[string]found {
	out := map[string]found{}
	for _, d := range l.catalog {
		var f found
		if text, ok := l.in.Flags[d.Flag]; ok {
			f.text, f.origin = text, "flag --"+d.Flag
		}
		if name, ok := l.in.Flags[d.Flag+"-file"]; ok && d.Secret != "" {
			f.fileName, f.fileOrigin = name, "flag --"+d.Flag+"-file"
		}
		out[d.Key] = f
	}
	return out
}

func (l *loader) fromEnv() map[string]found {
	out := map[string]found{}
	byName := map[string]Setting{}
	var names []string
	for _, d := range l.catalog {
		byName[d.Env] = d
		names = append(names, d.Env)
		if d.Secret != "" {
			byName[d.Env+"_FILE"] = d
			names = append(names, d.Env+"_FILE")
		}
	}
	for _, pair := range l.in.Env {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "MUSTER_") || ignored(name) {
			continue
		}
		d, known := byName[name]
		if !known {
			l.unknown(name, "environment", names)
			continue
		}
		if text == "" { // the usual way to switch a variable off
			continue
		}
		f := out[d.Key]
		if name == d.Env {
			f.text, f.origin = text, "environment "+name
		} else {
			f.fileName, f.fileOrigin = text, "environment "+name
		}
		out[d.Key] = f
	}
	return out
}

// ignored are names in our space that are not settings: the file's own name,
// those of tests, and those that Kubernetes makes for a service called "muster".
func ignored(name string) bool {
	return name == "MUSTER_CONFIG" || strings.HasPrefix(name, "MUSTER_TEST_") ||
		name == "MUSTER_PORT" || strings.HasPrefix(name, "MUSTER_PORT_") || strings.HasPrefix(name, "MUSTER_SERVICE_")
}

func (l *loader) fromFile() map[string]found {
	out := map[string]found{}
	byKey := map[string]Setting{}
	var keys []string
	for _, d := range l.catalog {
		byKey[d.Key] = d
		keys = append(keys, d.Key)
		if d.Secret != "" {
			byKey[d.Key+"_file"] = d
			keys = append(keys, d.Key+"_file")
		}
	}
	lines := map[string]int{}
	for _, e := range l.in.File {
		origin := fmt.Sprintf("%s line %d", l.in.FileName, e.Line)
		d, known := byKey[e.Key]
		if !known {
			l.unknown(e.Key, origin, keys)
			continue
		}
		if first, twice := lines[e.Key]; twice {
			l.faults = append(l.faults, Fault{Key: e.Key, Origin: origin, Problem: fmt.Sprintf("is there twice; the first is on line %d", first)})
			continue
		}
		lines[e.Key] = e.Line
		f := out[d.Key]
		if e.Key == d.Key {
			f.text, f.origin = e.Text, origin
		} else {
			f.fileName, f.fileOrigin = e.Text, origin
		}
		out[d.Key] = f
	}
	return out
}

func (l *loader) unknown(name, origin string, names []string) {
	problem := "is not a setting"
	if n := nearest(name, names); n != "" {
		problem += "; " + n + " is meant perhaps"
	}
	l.faults = append(l.faults, Fault{Key: name, Origin: origin, Problem: problem + "; `muster config reference` lists them all"})
}

// pick takes the value of the first source that has one.
func (l *loader) pick(d Setting, sources ...map[string]found) (Value, bool) {
	for _, s := range sources {
		f := s[d.Key]
		switch {
		case f.origin != "" && f.fileOrigin != "":
			l.faults = append(l.faults, Fault{Key: d.Key, Origin: f.origin, Problem: "is also given by " + f.fileOrigin + "; keep one of them"})
			return Value{Setting: d, Origin: f.origin}, false
		case f.origin != "":
			return Value{Setting: d, Text: f.text, Origin: f.origin}, true
		case f.fileOrigin != "":
			data, err := l.in.ReadFile(f.fileName)
			if err != nil {
				l.faults = append(l.faults, Fault{Key: d.Key, Origin: f.fileOrigin, Value: f.fileName, Problem: "cannot be read: " + err.Error()})
				return Value{Setting: d, Origin: f.fileOrigin}, false
			}
			return Value{Setting: d, Text: strings.TrimRight(string(data), "\r\n"), Origin: f.fileOrigin + ", file " + f.fileName}, true
		}
	}
	return Value{Setting: d, Text: d.Default, Origin: "default"}, false
}

func (l *loader) parse(s *Settings, v Value, given bool) error {
	if given && v.Text == "" {
		return fmt.Errorf("is empty; leave it out to have the default")
	}
	if err := v.set(s, v.Text); err != nil {
		return err
	}
	if check := l.in.Checks[v.Key]; check != nil && given {
		if err := check(v.Text); err != nil {
			return err
		}
	}
	return nil
}

// hide is the value's text as it may be shown.
func hide(v Value) string {
	if v.Text == "" || v.Secret == "" {
		return v.Text
	}
	if v.Secret == "url" && strings.HasPrefix(v.Text, "sqlite:") {
		return v.Text
	}
	u, err := url.Parse(v.Text)
	if v.Secret == "all" || err != nil || u.Host == "" {
		return "(hidden)"
	}
	q := u.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if q.Has(name) {
			q.Set(name, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}
