package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Setting is one leaf of the tree.
type Setting struct {
	Key     string // http.addr
	Env     string // MUSTER_HTTP_ADDR
	Flag    string // http-addr
	Default string
	Example string
	Doc     string
	Secret  string // "", "all" or "url"
	Section string // doc of the struct it stands in

	min, max string
	index    []int // where it stands in Settings
}

// Catalog lists every setting in the order of the struct.
func Catalog() []Setting {
	return walk(reflect.TypeFor[Settings](), nil, "", "")
}

func walk(t reflect.Type, index []int, prefix, section string) []Setting {
	var all []Setting
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get
		key := prefix + tag("key")
		at := append(append([]int(nil), index...), i)
		if f.Type.Kind() == reflect.Struct {
			all = append(all, walk(f.Type, at, key+".", tag("doc"))...)
			continue
		}
		flat := strings.NewReplacer(".", "_").Replace(key)
		all = append(all, Setting{
			Key: key, Env: "MUSTER_" + strings.ToUpper(flat), Flag: strings.ReplaceAll(flat, "_", "-"),
			Default: tag("default"), Example: tag("example"), Doc: tag("doc"), Secret: tag("secret"), Section: section,
			min: tag("min"), max: tag("max"), index: at,
		})
	}
	return all
}

// set parses text into the setting's place in s.
func (d Setting) set(s *Settings, text string) error {
	v := reflect.ValueOf(s).Elem().FieldByIndex(d.index)
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err := u.UnmarshalText([]byte(text))
		if err != nil && strings.HasPrefix(err.Error(), "slog:") {
			err = errors.New("is none of debug, info, warn, error")
		}
		return err
	}
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("is not a whole number")
		}
		low, _ := strconv.Atoi(d.min)
		high, _ := strconv.Atoi(d.max)
		if n < low || n > high {
			return fmt.Errorf("is not between %d and %d", low, high)
		}
		*p = n
	case *time.Duration:
		n, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("is not a length of time with a unit (s, m, h)")
		}
		low, _ := time.ParseDuration(d.min)
		high, _ := time.ParseDuration(d.max)
		if n < low || n > high {
			return fmt.Errorf("is not between %s and %s", d.min, d.max)
		}
		*p = n
	default:
		return fmt.Errorf("cannot be set: no parser for %s", v.Type())
	}
	return nil
}

// nearest is the name in names that is at most a few letters away from given, or "".
func nearest(given string, names []string) string {
	best, at := "", len(given)/3+2
	for _, n := range names {
		if d := distance(given, n); d < at {
			best, at = n, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
