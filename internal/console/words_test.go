package console_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var recorded = regexp.MustCompile(`(?:Action(?::|, [a-zA-Z.]+ =) |recordDomain\(tx, |\.record\(tx, |\bdemo(?:Begun|Done) += |return )"([a-z]+(?:\.[a-z]+)+)"`)

// Every action that the program records has words in the list of activity.
func TestEveryActionHasWords(t *testing.T) {
	actions := map[string]bool{}
	for _, folder := range []string{"store", "scim", "sso", "internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join("../..", folder), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := os.ReadFile(name)
			for _, m := range recorded.FindAllStringSubmatch(string(text), -1) {
				actions[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(actions) < 25 {
		t.Fatalf("only %d actions found in the source: %v", len(actions), actions)
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			for action := range actions {
				if err := tx.Record(store.Activity{Action: action, TargetKind: "thing", TargetID: "x", TargetName: "a thing"}); err != nil {
					return err
				}
			}
			return nil
		})
		for action := range actions {
			text := s.page("boss", "/console/acme/activity?action="+action)
			if strings.Contains(text, "Muster "+action+" a thing") {
				t.Errorf("%s has no words", action)
			}
		}
	})
}
