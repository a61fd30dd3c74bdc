package helm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"sigs.k8s.io/yaml"
)

// blueprint is what the file for Render uses of its form.
type blueprint struct {
	Services []struct {
		Type                    string `json:"type"`
		Name                    string `json:"name"`
		Runtime                 string `json:"runtime"`
		Plan                    string `json:"plan"`
		NumInstances            int    `json:"numInstances"`
		HealthCheckPath         string `json:"healthCheckPath"`
		MaxShutdownDelaySeconds int    `json:"maxShutdownDelaySeconds"`
		Image                   struct {
			URL string `json:"url"`
		} `json:"image"`
		EnvVars []struct {
			Key           string `json:"key"`
			Value         string `json:"value"`
			Sync          *bool  `json:"sync"`
			GenerateValue bool   `json:"generateValue"`
			FromDatabase  struct {
				Name     string `json:"name"`
				Property string `json:"property"`
			} `json:"fromDatabase"`
		} `json:"envVars"`
	} `json:"services"`
	Databases []struct {
		Name                 string `json:"name"`
		Plan                 string `json:"plan"`
		PostgresMajorVersion string `json:"postgresMajorVersion"`
	} `json:"databases"`
}

func packaged(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestRender(t *testing.T) {
	t.Parallel()
	var b blueprint
	if err := yaml.UnmarshalStrict(packaged(t, "render/render.yaml"), &b); err != nil {
		t.Fatal(err)
	}
	s := b.Services[0]
	if s.Plan == "free" || s.HealthCheckPath != "/readyz" || s.MaxShutdownDelaySeconds < 20 || !strings.HasPrefix(s.Image.URL, "ghcr.io/clerksync/clerksync:") {
		t.Errorf("%+v", s)
	}
	if from := s.EnvVars[0].FromDatabase; s.EnvVars[0].Key != "DATABASE_URL" || from.Name != b.Databases[0].Name {
		t.Errorf("%+v, %+v", s.EnvVars[0], b.Databases)
	}
	for _, v := range s.EnvVars {
		if strings.Contains(v.Key, "SECRET") && (v.Sync == nil || *v.Sync || v.Value != "") {
			t.Errorf("the secret %s is not asked for", v.Key)
		}
	}
}

func TestFly(t *testing.T) {
	t.Parallel()
	var f struct {
		App     string            `toml:"app"`
		Region  string            `toml:"primary_region"`
		Signal  string            `toml:"kill_signal"`
		Timeout int               `toml:"kill_timeout"`
		Build   map[string]string `toml:"build"`
		Env     map[string]string `toml:"env"`
		Service struct {
			Port   int    `toml:"internal_port"`
			HTTPS  bool   `toml:"force_https"`
			Stop   string `toml:"auto_stop_machines"`
			Start  bool   `toml:"auto_start_machines"`
			Least  int    `toml:"min_machines_running"`
			Checks []struct {
				Method   string `toml:"method"`
				Path     string `toml:"path"`
				Interval string `toml:"interval"`
				Timeout  string `toml:"timeout"`
				Grace    string `toml:"grace_period"`
			} `toml:"checks"`
		} `toml:"http_service"`
		VM []map[string]string `toml:"vm"`
	}
	meta, err := toml.Decode(string(packaged(t, "fly/fly.toml")), &f)
	if err != nil || len(meta.Undecoded()) > 0 {
		t.Fatal(err, meta.Undecoded())
	}
	if f.Service.Stop != "off" || f.Service.Port != 8080 || f.Env["CLERKSYNC_LISTEN"] != ":8080" || f.Service.Checks[0].Path != "/readyz" || f.Timeout < 20 {
		t.Errorf("%+v", f)
	}
}
