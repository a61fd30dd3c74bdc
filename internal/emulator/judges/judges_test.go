package judges

import "testing"

func TestJudges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startPlain(t)
	w.startServers(t)
	t.Run("at once", func(t *testing.T) {
		t.Run("Next.js", w.judgeNext) // first, because it builds for a while
		t.Run("a plain page", w.judgePlain)
		t.Run("a storage state", w.judgeStorageState)
		t.Run("its own pages", w.judgeOwnPages)
		t.Run("consent", w.judgeConsent)
		t.Run("Vite and React", w.judgeVite)
		t.Run("profile", w.judgeProfile)
		t.Run("organizations", w.judgeOrganizations)
		t.Run("an organization's profile", w.judgeOrganizationProfile)
		t.Run("operators", w.judgeOperators)
		t.Run("helpers for tests", w.judgeTestingHelpers)
		if *screenshots != "" {
			t.Run("pictures", w.takePictures)
		}
	})
	t.Run("step-up", w.judgeStepUp)
	if *signIns > 0 {
		t.Run("sign-ins", w.timeSignIns)
	}
}
