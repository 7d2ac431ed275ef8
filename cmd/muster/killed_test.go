package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	killedUserURN  = "urn:ietf:params:scim:schemas:core:2.0:User"
	killedGroupURN = "urn:ietf:params:scim:schemas:core:2.0:Group"
	killedExtURN   = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	killedPatch    = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}`
	killedBulk     = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[%s]}`
)

// A server that is killed in the middle of writes of every kind comes up with each
// of them wholly there or not at all, and with everything that is kept twice the same.
func TestKilledServerHasWholeRequests(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "killed", func(t *testing.T, env ...string) {
		p := newProgram(t, env...)
		base, token := p.directory()
		for round := range 2 {
			s := p.serve()
			k := &killing{t: t, url: s.url + base, token: token, round: round}
			k.people()
			var writers sync.WaitGroup
			for w := range 6 {
				writers.Go(func() { k.write(w) })
			}
			k.waitFor(80)
			s.kill()
			writers.Wait()
			s = p.serve()
			k.url = s.url + base
			k.whole()
			var doctor struct {
				Checks []finding `json:"checks"`
			}
			out := p.run("doctor", "--data", "--json")
			if err := json.Unmarshal([]byte(out.stdout), &doctor); err != nil {
				t.Fatalf("doctor: %v\n%s%s", err, out.stdout, out.stderr)
			}
			sound := false
			for _, c := range doctor.Checks {
				sound = sound || c.Name == "data" && c.Status == "ok"
			}
			if !sound {
				t.Errorf("round %d: the data do not agree: %s", round, out.stdout)
			}
			people, creations := p.truth()
			for name := range people {
				if creations[name] != 1 {
					t.Errorf("%s has %d activity rows about the creation, want 1", name, creations[name])
				}
			}
			s.kill()
		}
	})
}

// killing is a server that is written to until it dies.
type killing struct {
	t          *testing.T
	url, token string
	round      int
	ids        []string // of people who are there from the start
	group      string

	mu     sync.Mutex
	done   int
	made   []string // userNames that were answered with 201, and their Bulk's
	enough chan struct{}
}

func (k *killing) send(method, path, body string) (int, map[string]any, error) {
	r, err := http.NewRequest(method, k.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+k.token)
	r.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err
	}
	var v map[string]any
	if len(raw) > 0 {
		err = json.Unmarshal(raw, &v)
	}
	return res.StatusCode, v, err
}

func (k *killing) must(code int, method, path, body string) map[string]any {
	k.t.Helper()
	got, v, err := k.send(method, path, body)
	if err != nil || got != code {
		k.t.Fatalf("%s %s: %d %v, %v", method, path, got, v, err)
	}
	return v
}

// people makes whom all writers change.
func (k *killing) people() {
	k.enough = make(chan struct{})
	for i := range 8 {
		v := k.must(201, "POST", "/Users", markedPerson(fmt.Sprintf("r%d-base%d", k.round, i), "0"))
		k.ids = append(k.ids, v["id"].(string))
	}
	v := k.must(201, "POST", "/Groups", fmt.Sprintf(`{"schemas":[%q],"displayName":"r%d","externalId":"r%d has 0"}`, killedGroupURN, k.round, k.round))
	k.group = v["id"].(string)
}

// markedPerson has the same mark in four places, of which two are in other tables.
func markedPerson(name, mark string) string {
	return fmt.Sprintf(`{"schemas":[%q],"userName":%q,"title":%q,"emails":[{"value":"%s-%s@x.example","type":"work"}],"phoneNumbers":[{"value":%q}],%q:{"department":%q}}`,
		killedUserURN, name, mark, name, mark, mark, killedExtURN, mark)
}

func (k *killing) waitFor(n int) {
	k.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
		k.mu.Lock()
		done := k.done
		k.mu.Unlock()
		if done >= n {
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("only %d requests were answered", done)
		}
	}
}

// write sends requests of every kind until the server is gone.
func (k *killing) write(w int) {
	dice := rand.New(rand.NewPCG(uint64(w), uint64(k.round)))
	for i := 0; ; i++ {
		mark := fmt.Sprintf("w%d-%d", w, i)
		name := fmt.Sprintf("r%d-%s", k.round, mark)
		at := dice.IntN(len(k.ids))
		id, base := k.ids[at], fmt.Sprintf("r%d-base%d", k.round, at)
		var method, path, body string
		switch dice.IntN(8) {
		case 0, 1:
			method, path, body = "POST", "/Users", markedPerson(name, mark)
		case 2:
			method, path, body = "PUT", "/Users/"+id, markedPerson(base, mark)
		case 3:
			method, path, body = "PATCH", "/Users/"+id, fmt.Sprintf(killedPatch, fmt.Sprintf(`{"op":"replace","path":"title","value":%q},
				{"op":"replace","path":"emails","value":[{"value":"%s-%s@x.example","type":"work"}]},{"op":"replace","path":"phoneNumbers","value":[{"value":%q}]},
				{"op":"replace","path":"%s:department","value":%q}`, mark, base, mark, mark, killedExtURN, mark))
		case 4: // all or none of the people
			method, path, body = "PATCH", "/Groups/"+k.group, fmt.Sprintf(killedPatch, fmt.Sprintf(`{"op":"replace","path":"members","value":[%s]},{"op":"replace","path":"externalId","value":"r%d has %d"}`,
				members(k.ids[:at+1]), k.round, at+1))
		case 5: // two who manage one another, and their group
			method, path, body = "POST", "/Bulk", fmt.Sprintf(killedBulk, k.pair(name, mark))
		case 6:
			method, path, body = "POST", "/Groups", fmt.Sprintf(`{"schemas":[%q],"displayName":%q,"members":[%s]}`, killedGroupURN, name, members(k.ids[:3]))
		default: // comes and goes
			_, v, err := k.send("POST", "/Users", markedPerson(name, mark))
			if gone, _ := v["id"].(string); err == nil && gone != "" {
				method, path = "DELETE", "/Users/"+gone
			} else {
				method, path, body = "POST", "/Users", markedPerson(name+"b", mark)
			}
		}
		status, v, err := k.send(method, path, body)
		if err != nil {
			return
		}
		if status >= 300 {
			k.t.Errorf("%s %s: %d %v", method, path, status, v)
			return
		}
		k.mu.Lock()
		k.done++
		if status == http.StatusCreated && path == "/Users" {
			k.made = append(k.made, v["userName"].(string))
		}
		k.mu.Unlock()
	}
}

func members(ids []string) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprintf(`{"value":%q}`, id)
	}
	return strings.Join(list, ",")
}

func (k *killing) pair(name, mark string) string {
	one := func(end, other string) string {
		body := strings.Replace(markedPerson(name+end, mark), fmt.Sprintf(`"department":%q`, mark), fmt.Sprintf(`"department":%q,"manager":{"value":"bulkId:%s"}`, mark, other), 1)
		return fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":%q,"data":%s}`, end, body)
	}
	return one("-a", "-b") + "," + one("-b", "-a") + fmt.Sprintf(`,{"method":"POST","path":"/Groups","bulkId":"g","data":{"schemas":[%q],"displayName":"%s-pair","members":[{"value":"bulkId:-a"},{"value":"bulkId:-b"}]}}`, killedGroupURN, name)
}

// whole reads everything and looks for halves.
func (k *killing) whole() {
	k.t.Helper()
	names := map[string]bool{}
	users, total := k.all("/Users")
	if total != len(users) {
		k.t.Errorf("totalResults is %d of %d users", total, len(users))
	}
	for _, u := range users {
		name, mark := u["userName"].(string), u["title"].(string)
		names[name] = true
		extension := u[killedExtURN].(map[string]any)
		mail := u["emails"].([]any)[0].(map[string]any)["value"]
		phone := u["phoneNumbers"].([]any)[0].(map[string]any)["value"]
		if extension["department"] != mark || phone != mark || mail != name+"-"+mark+"@x.example" {
			k.t.Errorf("%s was changed in part: %v", name, u)
		}
		found, _ := k.all(fmt.Sprintf(`/Users?filter=emails.value%%20eq%%20%%22%s%%22`, mail))
		if len(found) != 1 {
			k.t.Errorf("%s is found %d times by its mail address", name, len(found))
		}
	}
	for _, name := range k.made {
		if !names[name] {
			k.t.Errorf("%s was answered with 201 and is not there", name)
		}
	}
	for name := range names {
		if twin, ok := strings.CutSuffix(name, "-a"); ok && !names[twin+"-b"] {
			k.t.Errorf("%s is there without whom it was made with", name)
		}
	}
	groups, total := k.all("/Groups")
	if total != len(groups) {
		k.t.Errorf("totalResults is %d of %d groups", total, len(groups))
	}
	for _, g := range groups {
		have := fmt.Sprint(len(g["members"].([]any)))
		name := g["displayName"].(string)
		want := "3"
		if strings.HasSuffix(name, "-pair") {
			want = "2"
		} else if e, ok := g["externalId"].(string); ok {
			_, want, _ = strings.Cut(e, " has ")
		}
		if have != want {
			k.t.Errorf("the group %s has %s members, want %s", name, have, want)
		}
	}
}

func (k *killing) all(path string) (list []map[string]any, total int) {
	k.t.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	v := k.must(200, "GET", path+sep+"count=1000", "")
	for _, e := range v["Resources"].([]any) {
		list = append(list, e.(map[string]any))
	}
	return list, int(v["totalResults"].(float64))
}

// A client that leaves in the middle of its upload has changed nothing; one that
// leaves after it has what it asked for, or nothing, and the provisioning log says which.
func TestDisconnectedClients(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "left", func(t *testing.T, env ...string) {
		p := newProgram(t, env...)
		base, token := p.directory()
		s := p.serve()
		k := &killing{t: t, url: s.url + base, token: token}
		k.people()
		before, _ := k.all("/Users")
		requests := []struct{ method, path, body string }{
			{"POST", "/Users", markedPerson("late", "1")},
			{"PUT", "/Users/" + k.ids[0], markedPerson("r0-base0", "late")},
			{"PATCH", "/Users/" + k.ids[1], fmt.Sprintf(killedPatch, `{"op":"replace","path":"title","value":"late"}`)},
			{"POST", "/Groups", fmt.Sprintf(`{"schemas":[%q],"displayName":"late"}`, killedGroupURN)},
			{"PUT", "/Groups/" + k.group, fmt.Sprintf(`{"schemas":[%q],"displayName":"late"}`, killedGroupURN)},
			{"PATCH", "/Groups/" + k.group, fmt.Sprintf(killedPatch, fmt.Sprintf(`{"op":"add","path":"members","value":[%s]}`, members(k.ids)))},
			{"POST", "/Bulk", fmt.Sprintf(killedBulk, k.pair("late", "1"))},
		}
		for _, q := range requests {
			for _, chunked := range []bool{false, true} {
				for _, cut := range []int{0, 1, len(q.body) / 2, len(q.body) - 1} {
					s.leave(q.method, base+q.path, token, q.body, chunked, cut)
				}
				s.leave(q.method, base+q.path, token, q.body+"  ", chunked, len(q.body)) // all that is JSON has come
			}
		}
		if after, _ := k.all("/Users"); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("half a request changed users\nfrom %v\nto   %v", before, after)
		}
		if groups, _ := k.all("/Groups"); len(groups) != 1 || groups[0]["displayName"] != "r0" || len(groups[0]["members"].([]any)) != 0 {
			t.Errorf("half a request changed groups: %v", groups)
		}
		for i := range 20 {
			body := markedPerson(fmt.Sprintf("gone%d", i), "1")
			s.leave("POST", base+"/Users", token, body, i%2 == 0, len(body))
		}
		k.gone(p)
	})
}

// gone compares what is there of the people gone0 to gone19 with the provisioning log.
func (k *killing) gone(p *program) {
	k.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		there := map[string]bool{}
		users, _ := k.all("/Users?filter=userName%20sw%20%22gone%22")
		for _, u := range users {
			there[u["userName"].(string)] = true
		}
		out := p.run("scim", "log", "--operation", "POST Users", "--directory", k.url[strings.LastIndexByte(k.url, '/')+1:], "--json")
		said, refused := map[string]bool{}, 0
		var list []map[string]any
		if err := json.Unmarshal([]byte(out.stdout), &list); err != nil {
			k.t.Fatalf("scim log: %v\n%s%s", err, out.stdout, out.stderr)
		}
		for _, e := range list {
			if name, _ := e["target"].(string); strings.HasPrefix(name, "gone") && e["changes"] == 1.0 {
				said[name] = true
			}
			if e["refused"] == true {
				refused++
			}
		}
		if fmt.Sprint(there) == fmt.Sprint(said) && len(there)+refused == 20+10 { // 10 were cut short before
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("there are %v, the log tells of %v and of %d that were refused\n%s", there, said, refused, out.stdout)
		}
	}
}

// leave sends the first part of a request and hangs up. It waits until the handler
// reads, so that the request has begun.
func (s *server) leave(method, path, token, body string, chunked bool, cut int) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	length := fmt.Sprintf("Content-Length: %d", len(body))
	if chunked {
		length = "Transfer-Encoding: chunked"
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\n%s\r\nExpect: 100-continue\r\n\r\n",
		method, path, strings.TrimPrefix(s.url, "http://"), token, length)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		s.t.Fatalf("%s %s: no 100 Continue but %q, %v", method, path, line, err)
	}
	if !chunked {
		io.WriteString(conn, body[:cut])
		return
	}
	if cut > 0 {
		fmt.Fprintf(conn, "%x\r\n%s\r\n", cut, body[:cut])
	}
	if cut == len(body) {
		io.WriteString(conn, "0\r\n\r\n")
	}
}
