package helm

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write packaging/kubernetes")

const (
	chartFolder = "../../packaging/helm/clerksync"
	plainFolder = "../../packaging/kubernetes"
)

// values is a YAML text in the form of the chart's values.
type values string

// render returns the manifests of the chart by the names of their templates.
func render(text values) (map[string]string, error) {
	chart, err := loader.Load(chartFolder)
	if err != nil {
		return nil, err
	}
	set := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &set); err != nil {
		return nil, err
	}
	all, err := chartutil.ToRenderValues(chart, set, chartutil.ReleaseOptions{Name: "clerksync", Namespace: "auth", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for name, content := range rendered {
		if content = strings.TrimSpace(content); content != "" && strings.HasSuffix(name, ".yaml") {
			files[filepath.Base(name)] = content + "\n"
		}
	}
	return files, nil
}

// serviceMonitor is what the chart uses of the type of Prometheus' operator.
type serviceMonitor struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			Authorization *struct {
				Credentials corev1.SecretKeySelector `json:"credentials"`
			} `json:"authorization"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// cluster has the decoded objects.
type cluster struct {
	names   []string // kind/name, sorted
	pods    map[string]corev1.PodSpec
	objects map[string]any
}

// decode reads manifests strictly: an unknown field or a value of the wrong type is an error.
func decode(t *testing.T, files map[string]string) cluster {
	t.Helper()
	c := cluster{pods: map[string]corev1.PodSpec{}, objects: map[string]any{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for document := range strings.SplitSeq(files[name], "\n---\n") {
			var head struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Metadata   struct {
					Name string `json:"name"`
				} `json:"metadata"`
			}
			if err := yaml.Unmarshal([]byte(document), &head); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			object := map[string]any{
				"apps/v1 Deployment": &appsv1.Deployment{}, "apps/v1 StatefulSet": &appsv1.StatefulSet{}, "batch/v1 Job": &batchv1.Job{},
				"v1 Service": &corev1.Service{}, "policy/v1 PodDisruptionBudget": &policyv1.PodDisruptionBudget{},
				"autoscaling/v2 HorizontalPodAutoscaler": &autoscalingv2.HorizontalPodAutoscaler{},
				"networking.k8s.io/v1 Ingress":           &networkingv1.Ingress{}, "monitoring.coreos.com/v1 ServiceMonitor": &serviceMonitor{},
			}[head.APIVersion+" "+head.Kind]
			if object == nil {
				t.Fatalf("%s: no type for %s %s", name, head.APIVersion, head.Kind)
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			key := head.Kind + "/" + head.Metadata.Name
			c.names, c.objects[key] = append(c.names, key), object
			switch o := object.(type) {
			case *appsv1.Deployment:
				c.pods[key] = o.Spec.Template.Spec
			case *appsv1.StatefulSet:
				c.pods[key] = o.Spec.Template.Spec
			case *batchv1.Job:
				c.pods[key] = o.Spec.Template.Spec
			}
		}
	}
	slices.Sort(c.names)
	return c
}

func mustRender(t *testing.T, text values) cluster {
	t.Helper()
	files, err := render(text)
	if err != nil {
		t.Fatal(err)
	}
	c := decode(t, files)
	for name, pod := range c.pods {
		checkPod(t, name, pod)
	}
	return c
}

// checkPod checks what every pod keeps to.
func checkPod(t *testing.T, name string, pod corev1.PodSpec) {
	t.Helper()
	s := pod.SecurityContext
	if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532 || *s.FSGroup != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: pod security %+v", name, s)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
		t.Errorf("%s: the token of the service account, or service links", name)
	}
	for _, container := range pod.Containers {
		c := container.SecurityContext
		if c == nil || !*c.ReadOnlyRootFilesystem || *c.AllowPrivilegeEscalation || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: container security %+v", name, c)
		}
		if container.Resources.Requests.Memory().IsZero() || container.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: resources %+v", name, container.Resources)
		}
		if !strings.HasPrefix(container.Image, "ghcr.io/clerksync/clerksync:") {
			t.Errorf("%s: image %s", name, container.Image)
		}
		mounted := map[string]bool{}
		for _, m := range container.VolumeMounts {
			mounted[m.Name] = true
		}
		if len(mounted) == 0 || !mounted["secrets"] {
			t.Errorf("%s: mounts %v", name, mounted)
		}
		seen := map[string]bool{}
		for _, e := range container.Env {
			if seen[e.Name] || e.Value == "" && e.Name != "DATABASE_URL" {
				t.Errorf("%s: %s is set twice, or empty", name, e.Name)
			}
			seen[e.Name] = true
		}
		if !seen["DATABASE_URL"] && !seen["DATABASE_URL_FILE"] || !seen["CLERK_SECRET_KEY_FILE"] || !seen["CLERKSYNC_OPERATOR_TOKEN_FILE"] {
			t.Errorf("%s: environment %v", name, seen)
		}
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	c := mustRender(t, "")
	want := "Deployment/clerksync Job/clerksync-migrate PodDisruptionBudget/clerksync Service/clerksync Service/clerksync-operators"
	if got := strings.Join(c.names, " "); got != want {
		t.Fatalf("objects %s, want %s", got, want)
	}
	d := c.objects["Deployment/clerksync"].(*appsv1.Deployment)
	if *d.Spec.Replicas != 2 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("%d replicas, %+v", *d.Spec.Replicas, d.Spec.Strategy)
	}
	server := d.Spec.Template.Spec.Containers[0]
	for name, probe := range map[string]*corev1.Probe{"/livez": server.LivenessProbe, "/livez startup": server.StartupProbe, "/readyz": server.ReadinessProbe} {
		if probe == nil || probe.HTTPGet.Path != strings.Fields(name)[0] || probe.HTTPGet.Port.StrVal != "http" {
			t.Errorf("%s: %+v", name, probe)
		}
	}
	if wait := server.StartupProbe.PeriodSeconds * server.StartupProbe.FailureThreshold; wait <= 60 {
		t.Errorf("a server that waits a minute for its database is killed after %d s", wait)
	}
	const drain = 20
	if end := *d.Spec.Template.Spec.TerminationGracePeriodSeconds; end < drain+server.Lifecycle.PreStop.Sleep.Seconds {
		t.Errorf("%d s to end", end)
	}
	job := c.objects["Job/clerksync-migrate"].(*batchv1.Job)
	if job.Annotations["helm.sh/hook"] != "pre-install,pre-upgrade" || job.Spec.Template.Spec.Containers[0].Args[0] != "migrate" {
		t.Errorf("the hook: %+v", job)
	}
	selects(t, "the budget", c.objects["PodDisruptionBudget/clerksync"].(*policyv1.PodDisruptionBudget).Spec.Selector.MatchLabels, d.Spec.Template.Labels, true)
	for _, name := range []string{"clerksync", "clerksync-operators"} {
		service := c.objects["Service/"+name].(*corev1.Service)
		selects(t, name, service.Spec.Selector, d.Spec.Template.Labels, true)
		selects(t, name, service.Spec.Selector, job.Spec.Template.Labels, false)
	}
}

// selects checks whether a selector finds a pod.
func selects(t *testing.T, name string, selector, labels map[string]string, want bool) {
	t.Helper()
	found := len(selector) > 0
	for key, value := range selector {
		found = found && labels[key] == value
	}
	if found != want {
		t.Errorf("%s selects %v: %t", name, labels, found)
	}
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	c := mustRender(t, "{database: {type: sqlite}, replicaCount: 1}")
	if got, want := strings.Join(c.names, " "), "Service/clerksync Service/clerksync-operators StatefulSet/clerksync"; got != want {
		t.Fatalf("objects %s, want %s", got, want)
	}
	s := c.objects["StatefulSet/clerksync"].(*appsv1.StatefulSet)
	claim := s.Spec.VolumeClaimTemplates[0]
	if *s.Spec.Replicas != 1 || claim.Spec.AccessModes[0] != corev1.ReadWriteOncePod || claim.Spec.Resources.Requests.Storage().String() != "5Gi" {
		t.Errorf("%d replicas, %+v", *s.Spec.Replicas, claim)
	}
	for _, m := range s.Spec.Template.Spec.Containers[0].VolumeMounts {
		if m.Name == "data" && (m.MountPath != "/data" || m.ReadOnly) {
			t.Errorf("%+v", m)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	c := mustRender(t, `
image: {tag: 1.2.3}
imagePullSecrets: [{name: registry}]
settings: {CLERK_PUBLISHABLE_KEY: "pk_live_x", CLERKSYNC_LOG_LEVEL: "1e3"}
autoscaling: {enabled: true, maxReplicas: 9}
ingress: {enabled: true, className: nginx, host: auth.example.com, tlsSecretName: tls, annotations: {a/b: "true"}}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
podAnnotations: {x: "1"}
nodeSelector: {disk: ssd}
tolerations: [{key: a, operator: Exists}]
`)
	d := c.objects["Deployment/clerksync"].(*appsv1.Deployment)
	if d.Spec.Replicas != nil || c.objects["HorizontalPodAutoscaler/clerksync"].(*autoscalingv2.HorizontalPodAutoscaler).Spec.MaxReplicas != 9 {
		t.Error("the autoscaler decides how many replicas there are")
	}
	if !slices.Contains(d.Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "CLERKSYNC_LOG_LEVEL", Value: "1e3"}) {
		t.Errorf("a setting that YAML would take for a number: %+v", d.Spec.Template.Spec.Containers[0].Env)
	}
	rule := c.objects["Ingress/clerksync"].(*networkingv1.Ingress).Spec.Rules[0]
	if backend := rule.HTTP.Paths[0].Backend.Service; rule.Host != "auth.example.com" || backend.Name != "clerksync" || backend.Port.Name != "http" {
		t.Errorf("%+v", rule)
	}
	m := c.objects["ServiceMonitor/clerksync"].(*serviceMonitor)
	service := c.objects["Service/clerksync-operators"].(*corev1.Service)
	selects(t, "the monitor", m.Spec.Selector.MatchLabels, service.Labels, true)
	selects(t, "the monitor", m.Spec.Selector.MatchLabels, c.objects["Service/clerksync"].(*corev1.Service).Labels, false)
	if e := m.Spec.Endpoints[0]; e.Port != service.Spec.Ports[0].Name || e.Authorization.Credentials.Key != "CLERKSYNC_OPERATOR_TOKEN" {
		t.Errorf("%+v", e)
	}
	open := mustRender(t, "{operators: {openMetrics: true}, serviceMonitor: {enabled: true}}")
	if open.objects["ServiceMonitor/clerksync"].(*serviceMonitor).Spec.Endpoints[0].Authorization != nil {
		t.Error("open metrics need no token")
	}
	if one := mustRender(t, "replicaCount: 1"); one.objects["PodDisruptionBudget/clerksync"] != nil {
		t.Error("a budget for one pod would keep nodes from being drained")
	}
}

// What cannot work is refused with a reason, before anything changes in a cluster.
func TestRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[values]string{
		"{database: {type: sqlite}}": "which one process alone can serve",
		"{database: {type: sqlite}, replicaCount: 1, autoscaling: {enabled: true}}":                                           "which one process alone can serve",
		"{database: {type: sqlite}, replicaCount: 1, secretKeys: [CLERK_SECRET_KEY, CLERKSYNC_OPERATOR_TOKEN, DATABASE_URL]}": "DATABASE_URL is in secretKeys",
		"{secretKeys: [CLERK_SECRET_KEY]}":               "lacks CLERKSYNC_OPERATOR_TOKEN",
		"{autoscaling: {enabled: true, minReplicas: 9}}": "more than autoscaling.maxReplicas",
		"{ingress: {enabled: true}}":                     "needs ingress.host",
		"{settings: {CLERKSYNC_LISTEN: \":80\"}}":        "is set by the chart",
		"{settings: {CLERK_SECRET_KEY: x}}":              "is set by the chart or by secretKeys already",
		"{settings: {LOG_LEVEL: debug}}":                 "LOG_LEVEL",
		"{settings: {CLERKSYNC_API_LIMIT: 100}}":         "CLERKSYNC_API_LIMIT",
		"{database: {type: mysql}}":                      "database",
		"{replicas: 3}":                                  "replicas",
		"{replicaCount: 0}":                              "replicaCount",
		"{existingSecret: \"\"}":                         "existingSecret",
		"{operators: {port: 80}}":                        "port",
	} {
		if _, err := render(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// packaging/kubernetes is the chart with its defaults, for those who do not use Helm.
func TestPlainManifests(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]values{"postgres.yaml": "", "sqlite.yaml": "{database: {type: sqlite}, replicaCount: 1}"} {
		files, err := render(text)
		if err != nil {
			t.Fatal(err)
		}
		// Without Helm there are no hooks: a server brings the schema up to date at its start.
		delete(files, "migrate.yaml")
		plain := "# Made from packaging/helm by `make manifests`. docs/deploying.md says how to use it.\n"
		for i, file := range slices.Sorted(maps.Keys(files)) {
			if i > 0 {
				plain += "---\n"
			}
			for line := range strings.Lines(files[file]) {
				if !strings.Contains(line, "app.kubernetes.io/managed-by:") && !strings.Contains(line, "helm.sh/chart:") {
					plain += line
				}
			}
		}
		decode(t, map[string]string{name: strings.SplitN(plain, "\n", 2)[1]})
		path := filepath.Join(plainFolder, name)
		if *update {
			if err := os.WriteFile(path, []byte(plain), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if stored, err := os.ReadFile(path); err != nil || string(stored) != plain {
			t.Errorf("%s is not what the chart makes: run make manifests (%v)", path, err)
		}
	}
}

// The notes are printed after an installation.
func TestNotes(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(chartFolder, "templates", "NOTES.txt"))
	if err != nil || !strings.Contains(string(content), "clerksync doctor") {
		t.Error(fmt.Sprintf("%s, %v", content, err))
	}
}
