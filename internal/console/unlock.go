package console

import (
	"net/http"
	"time"
)

// unlockPage asks for the rights of an administrator.
type unlockPage struct{ Code, Until string }

// unlockRoutes are the pages by which an administrator lends these pages rights.
func (c *Console) unlockRoutes() {
	c.mux.HandleFunc("GET /unlock", func(w http.ResponseWriter, r *http.Request) {
		c.show(w, r, http.StatusOK, "unlock", &Page{Title: "Unlock changes", Body: &unlockPage{}})
	})
	c.mux.HandleFunc("POST /unlock", func(w http.ResponseWriter, r *http.Request) {
		code, err := c.Service.AskUnlock(r.Context())
		if err != nil {
			c.fail(w, r, "", err)
			return
		}
		c.show(w, r, http.StatusOK, "unlock", &Page{Title: "Unlock changes", Body: &unlockPage{code.Code, code.Until.Local().Format(time.TimeOnly)}})
	})
	c.mux.HandleFunc("POST /lock", func(w http.ResponseWriter, r *http.Request) {
		c.back(w, r, "", "/", c.Service.Lock(r.Context()))
	})
}
