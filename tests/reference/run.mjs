// Translates CQL libraries with the reference translator and evaluates them with the reference engine.
//
// Standard input: {"libraries": [{"name", "text", "expressions", "charts": [{"now", "patient", "parameters"}]}]}. `expressions`
// are the names wanted, `now` is an ISO instant, `patient` holds elements of a FHIR Patient, `parameters` one value per CQL
// parameter: null, boolean, number, string, list, tuple (object), {"value", "unit"} for a quantity, {"time"} for a DateTime.
// Last line of standard output: [{"name", "errors": [{"expression", "message"}], "results": [[a value per expression] per
// chart]}]. An expression that the engine cannot evaluate gives {"threw": message}; an item gives its id.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { SystemModelInfoProvider } from '@cqframework/cql/cql';
import {
  CqlCompilerOptions, CqlTranslator, LibraryManager, ModelManager, createLibrarySourceProvider, createModelInfoProvider,
  createUcumService, stringAsSource,
} from '@cqframework/cql/cql-to-elm';

const require = createRequire(import.meta.url);
const { CodeService, DateTime, Executor, Library, Quantity, Repository } = require('cql-execution');
const { PatientSource } = require('cql-exec-fhir');
const ucum = require('@lhncbc/ucum-lhc').UcumLhcUtils.getInstance();

const FHIR_MODEL = readFileSync(require.resolve('cql-exec-fhir/lib/modelInfos/fhir-modelinfo-4.0.1.xml'), 'utf8');
const FHIR_HELPERS = readFileSync(new URL('FHIRHelpers.cql', import.meta.url), 'utf8');

function libraryManager() {
  const models = new ModelManager();
  models.modelInfoLoader.registerModelInfoProvider(new SystemModelInfoProvider());
  models.modelInfoLoader.registerModelInfoProvider(
    createModelInfoProvider((id) => (id === 'FHIR' ? stringAsSource(FHIR_MODEL) : null)),
  );
  const never = () => { throw new Error('translation needs no arithmetic'); };
  const whyInvalid = (unit) => {
    const found = ucum.validateUnitString(unit);
    return found.status === 'valid' ? null : found.msg.join(' ');
  };
  const units = createUcumService(never, whyInvalid, never, never);
  const manager = new LibraryManager(models, CqlCompilerOptions.defaultOptions(), undefined, units);
  manager.librarySourceLoader.registerProvider(
    createLibrarySourceProvider((id) => (id === 'FHIRHelpers' ? stringAsSource(FHIR_HELPERS) : null)),
  );
  return manager;
}

const manager = libraryManager();

function translate(text) {
  const elm = JSON.parse(CqlTranslator.fromText(text, manager).toJson());
  const lines = text.split('\n');
  const errors = elm.library.annotation
    .filter((note) => note.type === 'CqlToElmError' && note.errorSeverity === 'error')
    .map((note) => ({
      expression: lines.slice(0, note.startLine).findLast((line) => line.startsWith('define '))?.match(/^define (\w+)/)[1],
      message: note.message,
    }));
  return { elm, errors };
}

function read(value) {
  if (Array.isArray(value)) return value.map(read);
  if (value === null || typeof value !== 'object') return value;
  if ('unit' in value) return new Quantity(value.value, value.unit);
  if ('time' in value) return DateTime.parse(value.time);
  return Object.fromEntries(Object.entries(value).map(([name, attribute]) => [name, read(attribute)]));
}

function write(value) {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.map(write);
  if (typeof value !== 'object') return value;
  if (value.isQuantity) return { value: value.value, unit: value.unit };
  if (value.isDateTime || value.isDate) return { time: value.toString() };
  if (value.isUncertainty) return { least: value.low, most: value.high };
  return value.id ?? null;
}

const { elm: helpers, errors: helperErrors } = translate(FHIR_HELPERS);
if (helperErrors.length > 0) throw new Error(JSON.stringify(helperErrors));
const repository = new Repository([helpers]);
const codes = new CodeService({});

const source = PatientSource.FHIRv401();

function patients(patient) {
  source.reset();
  source.loadBundles([{ resourceType: 'Bundle', entry: [{ resource: { resourceType: 'Patient', id: 'p', ...patient } }] }]);
  return source;
}

async function evaluate(library, expressions, chart) {
  const executor = new Executor(library, codes, read(chart.parameters));
  const now = DateTime.parse(chart.now);
  try {
    const results = (await executor.exec(patients(chart.patient), now)).patientResults.p;
    return expressions.map((name) => write(results[name]));
  } catch {
    const values = [];
    for (const name of expressions) {
      try {
        const results = await executor.exec_expression(name, patients(chart.patient), now);
        values.push(write(results.patientResults.p[name]));
      } catch (error) {
        values.push({ threw: error.message });
      }
    }
    return values;
  }
}

const answers = [];
for (const { name, text, expressions, charts } of JSON.parse(readFileSync(0, 'utf8')).libraries) {
  const { elm, errors } = translate(text);
  const results = [];
  if (errors.length === 0) {
    const library = new Library(elm, repository);
    for (const chart of charts) results.push(await evaluate(library, expressions, chart));
  }
  answers.push({ name, errors, results });
}
process.stdout.write(`\n${JSON.stringify(answers)}\n`);
