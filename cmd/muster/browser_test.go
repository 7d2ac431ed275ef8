package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/muster-id/muster/internal/web/webtest"
)

// browser is a real Chromium without a window.
type browser struct {
	t     testing.TB
	ctx   context.Context
	shots string // folder for pictures: MUSTER_TEST_SHOTS
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	return &browser{t: t, ctx: webtest.Chromium(t), shots: os.Getenv("MUSTER_TEST_SHOTS")}
}

// person is somebody at the browser: cookies of their own, one tab.
type person struct {
	t     testing.TB
	name  string
	shots string
	ctx   context.Context

	mu       sync.Mutex
	mistakes []string // what the page complained about in the console
}

// visit gives a new person with a window of this size.
func (b *browser) visit(name string, width, height int64) *person {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	b.t.Cleanup(cancel)
	p := &person{t: b.t, name: name, shots: b.shots, ctx: ctx}
	p.do(chromedp.EmulateViewport(width, height))
	console := chromedp.Console(ctx)
	go func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException || m.Type == chromedp.ConsoleWarning {
				p.mu.Lock()
				p.mistakes = append(p.mistakes, m.String())
				p.mu.Unlock()
			}
		}
	}()
	return p
}

// quiet fails the test if a page complained, except about an answer's status:
// refusals are what some steps are for.
func (p *person) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.mistakes {
		if !strings.Contains(m, "the server responded with a status of") {
			p.t.Errorf("%s's console: %s", p.name, m)
		}
	}
}

// stepTime is what a step may take: on a machine that does much else, a long time.
const stepTime = 2 * time.Minute

// do runs steps.
func (p *person) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx); err != nil { // the tab must not live as short as the steps
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.shot("failed")
		p.t.Fatalf("%s at %s: %v\n%s", p.name, p.where(), err, p.text())
	}
}

// open goes to an address and gives the answer's status.
func (p *person) open(url string) int64 {
	p.t.Helper()
	return p.leads(chromedp.Navigate(url))
}

// leads runs a step that ends on a new page, and gives that answer's status.
func (p *person) leads(step chromedp.Action[chromedp.Void]) int64 {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	res, err := chromedp.RunResponse(ctx, step)
	if err != nil {
		p.shot("failed")
		p.t.Fatalf("%s at %s: %v\n%s", p.name, p.where(), err, p.text())
	}
	p.fits()
	return res.Status
}

// signIn sends the form of the sign-in page.
func (p *person) signIn(email, password string) {
	p.t.Helper()
	p.fill("input[name=email]", email)
	p.fill("input[name=password]", password)
	p.press("main form button[type=submit]")
}

// press clicks a button or link that leads to a new page.
func (p *person) press(selector string) int64 {
	p.t.Helper()
	return p.leads(chromedp.Click(chromedp.CSS(selector)))
}

// fill types into a field, after what is there is gone.
func (p *person) fill(selector, text string) {
	p.t.Helper()
	p.do(chromedp.Clear(chromedp.CSS(selector)), keys(selector, text))
}

// keys types into a field, or the letters of a choice. chromedp's SendKeys would read the
// element's attributes without its lock, while the browser tells of changed ones.
func keys(selector, text string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := chromedp.Focus(chromedp.CSS(selector), chromedp.NodeVisible)(ctx, t); err != nil {
			return err
		}
		_, err := chromedp.KeyEvent(text)(ctx, t)
		return err
	})
}

// js runs a statement in the page.
func (p *person) js(statement string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](statement+"; true")); err != nil {
		p.t.Fatalf("%s at %s: %s: %v", p.name, p.where(), statement, err)
	}
}

func (p *person) where() string {
	at, _ := chromedp.Run(p.ctx, chromedp.Location())
	return at
}

func (p *person) text() string {
	text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	return text
}

// sees fails unless the page has the words.
func (p *person) sees(words ...string) {
	p.t.Helper()
	text := p.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			p.shot("failed")
			p.t.Fatalf("%s at %s does not see %q in:\n%s", p.name, p.where(), w, text)
		}
	}
}

// fits fails when the page is wider than the window: nobody scrolls sideways on
// a telephone.
func (p *person) fits() {
	p.t.Helper()
	// There is no element while a page that a script left gives way to the next one.
	over, err := chromedp.Run(p.ctx, chromedp.Evaluate[int](`(e => e ? e.scrollWidth - e.clientWidth : 0)(document.documentElement)`))
	if err != nil || over > 0 {
		p.shot("too-wide")
		p.t.Errorf("%s at %s: the page is %d px wider than the window (%v)", p.name, p.where(), over, err)
	}
}

// shot takes a picture where MUSTER_TEST_SHOTS names a folder for it.
func (p *person) shot(name string) {
	p.t.Helper()
	if p.shots == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Logf("no picture %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(p.shots, p.name+"-"+name+".png"), png, 0o600); err != nil {
		p.t.Log(err)
	}
}
