/** The API for a person with a browser: one page without scripts, made from the OpenAPI document. */
import type {OpenApiDocument} from './openapi-document.ts';

const style = `
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;background:#f5f5f5;padding:.75rem}
summary{cursor:pointer;padding:.25rem 0}summary b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#111}pre{background:#222}}`;

type Operation = OpenApiDocument['paths'][string][string];

export function docsPage({info, paths}: OpenApiDocument): string {
  const groups = Map.groupBy(Object.keys(paths).sort(), groupOf);
  const sections = [...groups].map(([group, urls]) => `<h2>${escape(group)}</h2>${urls.map((url) => operations(url, paths[url] ?? {})).join('')}`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(info.title)}</title><style>${style}</style>
<h1>${escape(info.title)} ${escape(info.version)}</h1>
${info.description === undefined ? '' : `<p><strong>${escape(info.description)}</strong></p>\n`}<p>Every request carries <code>Authorization: Bearer TOKEN</code>. Failures are <code>application/problem+json</code>.
The same as data: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>
${sections.join('\n')}</html>\n`;
}

function groupOf(url: string): string {
  return /^\/api\/v1\/([^/]+)/.exec(url)?.[1] ?? 'other';
}

function operations(url: string, methods: Readonly<Record<string, Operation>>): string {
  return Object.entries(methods).map(([method, operation]) => `<details><summary><b>${method.toUpperCase()}</b> <code>${escape(url)}</code> ${escape(operation.summary ?? '')}</summary>
${operation.description === undefined ? '' : `<p>${escape(operation.description)}</p>`}${parameters(operation)}${body(operation)}</details>\n`).join('');
}

function parameters({parameters: list = []}: Operation): string {
  if (list.length === 0) return '';
  const rows = list.map(({name, in: place, required, schema}) => `<tr><td><code>${escape(name)}</code><td>${escape(place)}${required ? ', needed' : ''}<td><code>${escape(JSON.stringify(schema) ?? '')}</code>`);
  return `<table>${rows.join('')}</table>`;
}

function body({requestBody}: Operation): string {
  const schema = Object.values(requestBody?.content ?? {})[0]?.schema;
  return schema === undefined ? '' : `<p>Body</p><pre>${escape(JSON.stringify(schema, null, 2))}</pre>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
