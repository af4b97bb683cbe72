package console

import (
	"net/http"

	"ingot/internal/console/view"
	"ingot/internal/service"
)

// settingsBody is what is known of the service and of the user.
type settingsBody struct {
	service.Session
	Status     service.Status
	Age, Begun string
	May        string
	Start      string
}

func (c *Console) settingsPage(w http.ResponseWriter, r *http.Request) {
	st, err := c.Service.Status(r.Context())
	b := &settingsBody{Status: st, Start: startCommand()}
	if err == nil {
		b.Session, err = c.Service.Session(r.Context())
	}
	if err != nil {
		c.fail(w, r, "settings", err)
		return
	}
	b.Age, b.Begun, b.May = view.Age(st.Now.Sub(st.Since)), view.At(st.Since, st.Now), may(b.Role)
	c.show(w, r, http.StatusOK, "settings", &Page{Title: "Settings", Nav: "settings", Role: b.Role, Body: b})
}

// may says what a role allows.
func may(r service.Role) string {
	switch r {
	case service.Own:
		return "see, run and change everything"
	case service.Act:
		return "see everything, and start, pause and cancel the backups that are defined"
	case service.See:
		return "see what the service does, and change nothing"
	}
	return "nothing"
}
