package pages

import "html/template"

// Icon returns an icon of 16 by 16 pixels in the colour of the text. It says nothing to screen
// readers: a text is always next to it, or the element around it has a label.
func Icon(name string) template.HTML {
	return `<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">` + icons[name] + `</svg>`
}

// icons are drawn with strokes; pages.css sets their width.
var icons = map[string]template.HTML{
	"overview":     `<path d="M2.5 9.5 8 4l5.5 5.5M4 8.5v5h8v-5"/>`,
	"user":         `<circle cx="8" cy="5.5" r="2.75"/><path d="M2.75 13.5c.6-2.6 2.7-4 5.25-4s4.65 1.4 5.25 4"/>`,
	"organization": `<path d="M3 13.5v-10h6v10M9 6.5h4v7M1.75 13.5h12.5M5.25 6h1.5M5.25 8.5h1.5M5.25 11h1.5M11 9h.01M11 11.25h.01"/>`,
	"session":      `<rect x="2" y="3" width="12" height="8" rx="1.5"/><path d="M6 13.5h4"/>`,
	"delivery":     `<path d="M2.5 8.5 4.25 3h7.5l1.75 5.5v4.5h-11zM2.5 8.5h3l1 2h3l1-2h3"/>`,
	"sync":         `<path d="M13.25 6.5A5.5 5.5 0 0 0 3.3 5M2.75 9.5a5.5 5.5 0 0 0 9.95 1.5M3 2.25V5.25h3M13 13.75V10.75h-3"/>`,
	"change":       `<path d="M2 8h2.5l2-5 3 10 2-5H14"/>`,
	"job":          `<path d="M6.5 4.25h7M6.5 8h7M6.5 11.75h7M2.5 4.25l.75.75 1.25-1.5M2.5 8l.75.75 1.25-1.5M2.5 11.75l.75.75 1.25-1.5"/>`,
	"explain":      `<path d="M8 2.25 13 4v4c0 3-2.1 5-5 5.75C5.1 13 3 11 3 8V4zM5.75 8l1.65 1.65L10.4 6.5"/>`,
	"audit":        `<path d="M4 2.5h5.5L12.5 5.5v8h-8.5zM9.25 2.5v3.25h3.25M6.25 8.5h4M6.25 11h4"/>`,
	"settings":     `<path d="M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6"/><circle cx="10" cy="4.5" r="1.5"/><circle cx="6" cy="11.5" r="1.5"/>`,
	"search":       `<circle cx="7" cy="7" r="4.25"/><path d="m10.25 10.25 3.25 3.25"/>`,
	"check":        `<path d="m3.5 8.5 3 3 6-7"/>`,
	"cross":        `<path d="m4.25 4.25 7.5 7.5M11.75 4.25l-7.5 7.5"/>`,
	"alert":        `<path d="M8 2.5 14.25 13.25H1.75zM8 6.5v3.25M8 11.5h.01"/>`,
	"info":         `<circle cx="8" cy="8" r="5.75"/><path d="M8 7.5v3.25M8 5.25h.01"/>`,
	"busy":         `<path d="M8 2.25a5.75 5.75 0 1 1-5.75 5.75"/>`,
	"copy": `<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/>` +
		`<path d="M3.5 10.5h-.5a.75.75 0 0 1-.75-.75V3.25a.75.75 0 0 1 .75-.75h6.5a.75.75 0 0 1 .75.75v.25"/>`,
	"right": `<path d="m6 3.5 4.5 4.5L6 12.5"/>`,
	"left":  `<path d="M10 3.5 5.5 8l4.5 4.5"/>`,
	"down":  `<path d="m3.75 6 4.25 4.25L12.25 6"/>`,
	"first": `<path d="M12 3.5 7.5 8l4.5 4.5M4 3.5v9"/>`,
	"menu":  `<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>`,
	"sun": `<circle cx="8" cy="8" r="2.75"/>` +
		`<path d="M8 1.5v1.25M8 13.25v1.25M1.5 8h1.25M13.25 8h1.25M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9"/>`,
	"moon":     `<path d="M13.25 9.5A5.5 5.5 0 1 1 6.5 2.75a4.5 4.5 0 0 0 6.75 6.75z"/>`,
	"screen":   `<rect x="2" y="3" width="12" height="8.5" rx="1.5"/><path d="M5.5 13.75h5"/>`,
	"out":      `<path d="M9.5 2.5h-6v11h6M6.5 8h7M11 5.5 13.5 8 11 10.5"/>`,
	"key":      `<circle cx="5" cy="11" r="2.75"/><path d="m7 9 6-6M10.5 5.5l2 2"/>`,
	"clock":    `<circle cx="8" cy="8" r="5.75"/><path d="M8 4.75V8l2.25 1.5"/>`,
	"more":     `<path d="M3.5 8h.01M8 8h.01M12.5 8h.01"/>`,
	"play":     `<path d="M5 3.25v9.5L12.5 8z"/>`,
	"stop":     `<rect x="4" y="4" width="8" height="8" rx="1"/>`,
	"filter":   `<path d="M2.5 4h11M4.5 8h7M6.5 12h3"/>`,
	"ban":      `<circle cx="8" cy="8" r="5.75"/><path d="m4 4 8 8"/>`,
	"lock":     `<rect x="3.5" y="7" width="9" height="6.5" rx="1.25"/><path d="M5.25 7V5a2.75 2.75 0 0 1 5.5 0v2"/>`,
	"trash":    `<path d="M3 4.5h10M6 4.5v-2h4v2M4.25 4.5l.6 9h6.3l.6-9"/>`,
	"eye":      `<path d="M1.75 8C3 5.25 5.25 3.75 8 3.75S13 5.25 14.25 8C13 10.75 10.75 12.25 8 12.25S3 10.75 1.75 8z"/><circle cx="8" cy="8" r="2"/>`,
	"mail":     `<rect x="2" y="3.5" width="12" height="9" rx="1.5"/><path d="m2.5 5 5.5 4 5.5-4"/>`,
	"terminal": `<path d="m3 4.5 3.5 3.5L3 11.5M8.5 11.5H13"/>`,
	"help":     `<circle cx="8" cy="8" r="5.75"/><path d="M6.25 6.5a1.75 1.75 0 1 1 2.5 1.6c-.5.25-.75.6-.75 1.15M8 11.25h.01"/>`,
	"external": `<path d="M9 2.75h4.25V7M13 3 7.5 8.5M11.5 9.5v3.75h-8.75v-8.75H6.5"/>`,
}
