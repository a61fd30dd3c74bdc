// The folder of what is built is that of the test.
export default { distDir: process.env.NEXT_DIST, devIndicators: false, experimental: { turbopackMinify: false } };
