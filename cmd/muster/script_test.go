package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The scripts in testdata say what the program does, line by line:
//
//	muster ARGS...            runs it; it must exit with 0
//	exit N muster ARGS...     runs it; it must exit with N
//	stdout REGEXP, stderr REGEXP, !stdout REGEXP, !stderr REGEXP
//	json PATH REGEXP          standard output (or the last answer) as JSON has this there: rows.0.email; # is a length
//	save NAME PATH            keeps a value; $NAME stands for it later
//	env NAME=VALUE            for all that follows; without value: unset
//	file NAME TEXT            writes a file (\n is a new line)
//	lines NAME N TEXT         writes a file of N lines that are all the same
//	serve ARGS..., stop       starts the server; stops it with SIGTERM
//	GET URL STATUS, POST URL STATUS BODY...; token TOKEN for those that follow
type script struct {
	*program
	vars   map[string]string
	server *server
	token  string
	last   result
}

func TestScripts(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		eachDatabase(t, strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T, env ...string) {
			s := &script{program: newProgram(t, env...), vars: map[string]string{}}
			s.vars["dir"] = s.dir
			for i, line := range strings.Split(string(text), "\n") {
				line = strings.TrimSpace(line)
				if line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				if err := s.line(line); err != nil {
					t.Fatalf("%s:%d: %s\n%v\nlast exit %d\nstdout: %s\nstderr: %s", name, i+1, line, err, s.last.code, s.last.stdout, s.last.stderr)
				}
			}
		})
	}
}

var variable = regexp.MustCompile(`\$[a-z_]+`)

func (s *script) line(line string) error {
	line = variable.ReplaceAllStringFunc(line, func(name string) string {
		if v, ok := s.vars[name[1:]]; ok {
			return v
		}
		return name
	})
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "muster":
		return s.muster(0, rest)
	case "exit":
		code, rest, _ := strings.Cut(rest, " muster")
		n, err := strconv.Atoi(code)
		if err != nil {
			return err
		}
		return s.muster(n, rest)
	case "stdout", "!stdout":
		return match(s.last.stdout, rest, word == "stdout")
	case "stderr", "!stderr":
		return match(s.last.stderr, rest, word == "stderr")
	case "json":
		path, want, _ := strings.Cut(rest, " ")
		got, err := dig(s.last.stdout, path)
		if err != nil {
			return err
		}
		return match(got, "^(?:"+want+")$", true)
	case "save":
		name, path, _ := strings.Cut(rest, " ")
		got, err := dig(s.last.stdout, path)
		s.vars[name] = got
		return err
	case "env":
		name, value, _ := strings.Cut(rest, "=")
		s.setenv(name, value)
		return nil
	case "file":
		name, text, _ := strings.Cut(rest, " ")
		return os.WriteFile(filepath.Join(s.dir, name), []byte(strings.ReplaceAll(text, `\n`, "\n")), 0o600)
	case "lines":
		name, rest, _ := strings.Cut(rest, " ")
		times, text, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(times)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(s.dir, name), bytes.Repeat([]byte(text+"\n"), n), 0o600)
	case "token":
		s.token = rest
		return nil
	default:
		return s.overHTTP(word, rest)
	}
}

func (s *script) overHTTP(word, rest string) error {
	switch word {
	case "serve":
		s.server = s.serve(words(rest)...)
		hello, err := json.Marshal(s.server.hello)
		s.last = result{stdout: string(hello)}
		s.vars["url"], s.vars["addr"] = s.server.url, strings.TrimPrefix(s.server.url, "http://")
		return err
	case "stop":
		if code := s.server.stop(); code != 0 {
			return fmt.Errorf("the server ended with %d:\n%s", code, s.server.log)
		}
		s.last = result{stdout: strings.TrimPrefix(s.server.rest.String(), "\n"), stderr: s.server.log.String()}
		return nil
	case "GET", "POST", "PUT", "PATCH", "DELETE":
		parts := strings.SplitN(rest, " ", 3)
		body := ""
		if len(parts) == 3 {
			body = parts[2]
		}
		status, text := s.server.do(word, parts[0], s.token, body)
		s.last = result{code: status, stdout: text, stderr: s.server.log.String()}
		if strconv.Itoa(status) != parts[1] {
			return fmt.Errorf("status %d, want %s", status, parts[1])
		}
		return nil
	}
	return fmt.Errorf("no such line: %s", word)
}

func (s *script) muster(code int, rest string) error {
	s.last = s.run(words(rest)...)
	if s.last.code != code {
		return fmt.Errorf("exit code %d, want %d", s.last.code, code)
	}
	return nil
}

func (s *script) setenv(name, value string) {
	var kept []string
	for _, pair := range s.env {
		if !strings.HasPrefix(pair, name+"=") {
			kept = append(kept, pair)
		}
	}
	if value != "" {
		kept = append(kept, name+"="+value)
	}
	s.env = kept
}

func match(text, pattern string, want bool) error {
	re, err := regexp.Compile("(?s)" + pattern)
	if err != nil {
		return err
	}
	if re.MatchString(text) != want {
		return fmt.Errorf("%q matches %q: %v, want %v", text, pattern, !want, want)
	}
	return nil
}

// words splits as a shell does, with single quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

// dig finds a value in JSON text.
func dig(text, path string) (string, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", fmt.Errorf("not one JSON value: %w", err)
	}
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			inner, ok := x[step]
			if !ok {
				return "", fmt.Errorf("no field %q", step)
			}
			v = inner
		case []any:
			if step == "#" {
				v = float64(len(x))
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				return "", fmt.Errorf("no element %q of %d", step, len(x))
			}
			v = x[i]
		default:
			return "", fmt.Errorf("nothing inside %v", v)
		}
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	out, err := json.Marshal(v)
	return string(out), err
}
