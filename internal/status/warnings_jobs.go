package status

import "github.com/clerksync/clerksync/mirror"

// warnOfJobs warns of jobs that failed in the last day and were not started again.
func warnOfJobs(s *signals) []mirror.Warning {
	if s.stored == nil || len(s.stored.FailedJobs) == 0 {
		return nil
	}
	list := make([]string, len(s.stored.FailedJobs))
	for i := range s.stored.FailedJobs {
		list[i] = s.stored.FailedJobs[i].ID + " (" + string(s.stored.FailedJobs[i].Action) + ")"
	}
	return []mirror.Warning{{
		Code: "job_failed", Severity: mirror.SeverityWarning,
		Message: "Some jobs ended before everything was done, because they could not go on: " + names(list),
		Remedy: s.remedy("See why: clerksync jobs show JOB. After a fix: clerksync jobs start JOB; it goes on where it ended. The warning ends after a day.",
			"See why with m.Jobs().ByID. After a fix call Start: the job goes on where it ended. The warning ends after a day."),
	}}
}
