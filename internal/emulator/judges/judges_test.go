package judges

import "testing"

func TestJudges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startPlain(t)
	w.startServers(t)
	t.Run("a plain page", w.judgePlain)
	t.Run("a storage state", w.judgeStorageState)
	t.Run("its own pages", w.judgeOwnPages)
	t.Run("Vite and React", w.judgeVite)
	t.Run("Next.js", w.judgeNext)
}
