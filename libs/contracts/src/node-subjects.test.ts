import * as contracts from './index.ts';
import * as subjects from './subjects.ts';

const {nodeSubjects} = contracts;

describe('the subjects of machines', () => {
  it('each have an end that the machine is at, so that its credentials can permit them', () => {
    const definitions: readonly (readonly [string, unknown])[] = Object.entries({...contracts, ...subjects});
    const named = definitions.filter(([, definition]) => definition instanceof Object && 'subject' in definition && String(definition.subject).includes('{node}')).map(([name]) => name);
    expect(Object.keys(nodeSubjects).toSorted()).toEqual(named.toSorted());
  });
});
