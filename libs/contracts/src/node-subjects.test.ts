import {nodeSubjects, subjects} from './index.ts';

describe('the subjects of machines', () => {
  it('each have an end that the machine is at, so that its credentials can permit them', () => {
    const named = Object.entries(subjects).filter(([, definition]) => 'subject' in definition && definition.subject.includes('{node}')).map(([name]) => name);
    expect(Object.keys(nodeSubjects).toSorted()).toEqual(named.toSorted());
  });
});
