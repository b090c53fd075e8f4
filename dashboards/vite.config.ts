import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

/** Where `npm run dev` finds a collector. */
const collector = process.env['CLOUD_COLLECTOR'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte()],
  html: { cspNonce: 'CSP_NONCE' }, // pages.py writes each answer's own there
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/api': collector } },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});
