package main

// greet tells on standard output where the server is.
func (c serveCmd) greet(a *app, h *system) error {
	return a.answer(map[string]string{"url": h.url}, "Muster is at "+h.url)
}
