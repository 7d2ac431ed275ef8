package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// bar is one line of a chart. Its number stands beside it, so that the picture may be
// left out.
type bar struct {
	Label, Link string
	N           int64
	Width       int // of 100
	Parts       []part
}

// part is a piece of a bar in a colour of its own.
type part struct {
	Label string
	N     int64
	X, W  int // of 100
	Class string
}

// scaled makes the longest bar 100 wide. What is there is seen, however little.
func scaled(bars []bar) []bar {
	most := int64(1)
	for _, b := range bars {
		most = max(most, b.N)
	}
	for i := range bars {
		b := &bars[i]
		if b.Width = int(b.N * 100 / most); b.N > 0 {
			b.Width = max(b.Width, 1)
		}
		x := 0
		for j := range b.Parts {
			p := &b.Parts[j]
			p.X, p.W = x, int(p.N*100/most)
			x += p.W
		}
	}
	return bars
}

// overviewPage is the organization at a glance.
type overviewPage struct {
	Org          web.Org
	People       int64
	Statuses     []bar
	Sources      []bar
	Days         []bar // sign-ins
	Methods      []bar
	Refused      int
	Invitations  []bar
	Seats        store.Seats
	SeatBars     []bar
	Directories  []directoryRow
	MayConfigure bool
	MayActivity  bool
}

// overviewDays is how far back the chart of sign-ins goes.
const overviewDays = 14

func (c *Console) overview(w http.ResponseWriter, r *http.Request) error {
	actor := web.Actor(r)
	p := overviewPage{Org: web.OrgOf(r), MayConfigure: actor.May(access.Configure), MayActivity: actor.May(access.ViewActivity)}
	var days []store.SignInCount
	if p.MayActivity {
		var err error
		if days, err = c.opt.DB.SignInDays(r.Context(), actor, overviewDays); err != nil {
			return err
		}
	}
	err := c.opt.DB.Read(r.Context(), actor, func(tx *store.Tx) (err error) {
		counts, err := tx.PeopleCounts()
		if err != nil {
			return err
		}
		p.countPeople(r, counts)
		if p.MayActivity {
			p.countSignIns(r, days, tx.Now())
		}
		if c.opt.InvitationCounts != nil {
			counts, err := c.opt.InvitationCounts(r, tx)
			if err != nil {
				return err
			}
			for _, s := range counts {
				p.Invitations = append(p.Invitations, bar{Label: s.Label, Link: s.Link, N: int64(s.N)})
			}
			p.Invitations = scaled(p.Invitations)
		}
		if p.Seats, err = tx.Seats(); err != nil {
			return err
		}
		p.SeatBars = seatBars(r, p.Seats)
		if p.MayConfigure {
			p.Directories, err = c.directoryRows(tx, base(r))
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "overview", p)
}

func (p *overviewPage) countPeople(r *http.Request, counts []store.PeopleCount) {
	of, from := map[store.Status]int64{}, map[store.Source]int64{}
	for _, c := range counts {
		of[c.Status] += c.N
		from[c.Source] += c.N
		p.People += c.N
	}
	list := base(r) + "/users?"
	labels := map[store.Status]string{store.Active: web.T(r, "Active"), store.Invited: web.T(r, "Invited"), store.Deactivated: web.T(r, "Deactivated")}
	for _, s := range []store.Status{store.Active, store.Invited, store.Deactivated} {
		p.Statuses = append(p.Statuses, bar{Label: labels[s], Link: list + "status=" + string(s), N: of[s]})
	}
	for _, s := range []store.Source{store.FromSCIM, store.FromJIT, store.FromInvite, store.FromCSV, store.FromAPI} {
		if from[s] > 0 {
			p.Sources = append(p.Sources, bar{Label: web.T(r, sourceNames[s]), Link: list + "source=" + string(s), N: from[s]})
		}
	}
	p.Statuses, p.Sources = scaled(p.Statuses), scaled(p.Sources)
}

func (p *overviewPage) countSignIns(r *http.Request, counts []store.SignInCount, now store.Time) {
	methods := map[string]int64{}
	in, refused := map[store.Time]int64{}, map[store.Time]int64{}
	for _, c := range counts {
		if c.Result == store.SignedIn {
			methods[c.Method] += c.N
			in[c.Day] += c.N
		} else {
			refused[c.Day] += c.N
			p.Refused += int(c.N)
		}
	}
	today := now.Time().Truncate(24 * time.Hour)
	for i := overviewDays - 1; i >= 0; i-- {
		at := today.AddDate(0, 0, -i)
		day, date := store.TimeOf(at), at.Format(time.DateOnly)
		p.Days = append(p.Days, bar{Label: date, Link: base(r) + "/signins?since=" + date + "&until=" + date, N: in[day] + refused[day], Parts: []part{
			{Label: web.T(r, "signed in"), N: in[day], Class: "good"}, {Label: web.T(r, "refused"), N: refused[day], Class: "bad"}}})
	}
	for method, n := range methods {
		p.Methods = append(p.Methods, bar{Label: web.T(r, methodName(method)), N: n})
	}
	slices.SortFunc(p.Methods, func(a, b bar) int {
		if a.N != b.N {
			return int(b.N - a.N)
		}
		return strings.Compare(a.Label, b.Label)
	})
	p.Days, p.Methods = scaled(p.Days), scaled(p.Methods)
}

// seatBars are as long as their limit lets them be.
func seatBars(r *http.Request, s store.Seats) (list []bar) {
	add := func(label string, used, limit int64) {
		b := bar{Label: label, N: used}
		if limit >= 0 {
			b.Label = web.T(r, "%s, of %d", label, limit)
			b.Width = int(min(used*100/max(limit, 1), 100))
		}
		list = append(list, b)
	}
	if s.Limit >= 0 {
		add(web.T(r, "Seats"), s.Used, s.Limit)
	}
	for _, l := range s.Licenses {
		add(l.Name, l.Used, l.Limit)
	}
	return list
}
