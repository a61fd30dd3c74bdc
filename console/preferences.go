package console

import (
	"github.com/clerksync/clerksync/internal/pages"
)

// savePreferences keeps what the forms of the frame and of the page Settings send.
func savePreferences(v *visit) error {
	if problem := pages.SavePreferences(v.w, v.r); problem != "" {
		v.setFlash(flash{Kind: "bad", Text: problem})
	}
	return v.redirect(v.local(v.form("back")))
}

// local returns a path of this console that a form names, or the first page.
func (v *visit) local(path string) string { return pages.Local(v.base, path) }

// flash is what the next page says about what was just done.
type flash = pages.Flash

// setFlash keeps a text for the next page.
func (v *visit) setFlash(f flash) { v.setCookie("flash", f.Encode(), pages.FlashLife) }

// takeFlash returns the text of the page before, once.
func (v *visit) takeFlash() *flash {
	c, err := v.r.Cookie(v.cookie("flash"))
	if err != nil {
		return nil
	}
	v.setCookie("flash", "", -1)
	return pages.DecodeFlash(c.Value, v.base)
}
