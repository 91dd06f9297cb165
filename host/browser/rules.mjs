// What the specification requires, for each rule of the default policy. Two rules stand for a deletion, named as in the
// audit events of the server.

/** The steps in which the policy checks its rules. The first rule that matches decides. */
export const STEPS = ['Caller', 'Permission', 'Parameters', 'Target', 'Subject', 'Record', 'Deletion'];

const SECURITY = 'Security: HTTPBearer · Response 401';
const BEYOND = 'Not in the specification';

const rule = (step, title, section, text) => ({ step: STEPS.indexOf(step), title, section, text });

export const RULES = {
  'identity-missing': rule(
    'Caller',
    'A credential is required',
    SECURITY,
    'Every request must have an HTTP Bearer credential. A request without one is answered 401, before ' +
      'anything else is checked.',
  ),
  'identity-malformed': rule(
    'Caller',
    'The credential must be one Bearer token',
    SECURITY,
    'The only security scheme is HTTP Bearer. A header in another form, or several of them, are answered ' + '401.',
  ),
  'identity-invalid': rule(
    'Caller',
    'The credential must verify',
    SECURITY,
    'A credential that is forged, revoked or unknown identifies no caller. The answer is 401 and does not ' +
      'contain the cause.',
  ),
  'identity-expired': rule(
    'Caller',
    'The credential must not have expired',
    SECURITY,
    'An expired credential identifies no caller. The answer is 401.',
  ),
  'identity-wrong-audience': rule(
    'Caller',
    'The token must be for this deployment',
    SECURITY,
    'A token that was issued for another audience identifies no caller here. The answer is 401.',
  ),
  'identity-reserved-subject': rule(
    'Caller',
    'A token must not claim a reserved subject',
    SECURITY,
    'Subjects of the platform, such as those of service accounts, cannot come from a token. The answer is ' + '401.',
  ),
  'identity-not-enabled': rule(
    'Caller',
    'The kind of credential must be enabled',
    SECURITY,
    'A deployment accepts only the kinds of credential that its operator enabled. The answer to any other ' + 'is 401.',
  ),
  'identity-rate-limited': rule(
    'Caller',
    'Failed attempts are limited',
    BEYOND,
    'A client that sends too many credentials that do not verify is answered 429, with the time after ' +
      'which it can retry.',
  ),
  'identity-unavailable': rule(
    'Caller',
    'Without verification, nothing is deleted',
    BEYOND,
    'If credentials cannot be verified at present, the request is answered 503, and the caller can retry.',
  ),
  'identity-failed': rule(
    'Caller',
    'A failed verification is an internal error',
    'Response 500',
    'If verification fails for a reason that a retry does not remove, the answer is 500. The cause is in ' +
      'the log only.',
  ),
  'missing-scope': rule(
    'Permission',
    'The caller must have permission to delete',
    'Response 403',
    'A token needs the scope learnings:delete, or the admin scope of the deployment. Any other caller is ' +
      'forbidden.',
  ),
  'table-without-database': rule(
    'Parameters',
    'table requires db_id',
    'Query parameter table',
    'The parameter table selects the database table to use and requires db_id.',
  ),
  'invalid-learning-id': rule(
    'Target',
    'The learning id must be valid text',
    'Path parameter learning_id',
    'The learning id is a required text. An id that is not percent-encoded UTF-8, or that is too long, ' +
      'names no record.',
  ),
  'repeated-parameter': rule(
    'Target',
    'A parameter can be given once',
    'Query parameters db_id and table',
    'db_id and table each have one value. If one is repeated, the target is ambiguous, and no database is ' +
      'chosen for the caller.',
  ),
  'database-required': rule(
    'Target',
    'Several databases require db_id',
    'Query parameter db_id',
    'db_id is optional with one database. With several, the request must name the one to use.',
  ),
  'unknown-database': rule(
    'Target',
    'The database must exist',
    'Query parameter db_id · Response 404',
    'db_id is the id of the database to use. A database that does not exist is not found.',
  ),
  'unknown-table': rule(
    'Target',
    'The table must store learnings',
    'Query parameter table · Response 404',
    'table is the database table to use. A table that does not exist, or that stores something else, is ' +
      'not found.',
  ),
  'unsupported-database': rule(
    'Target',
    'The database must support learnings',
    BEYOND,
    'A deployment without a database that can store learnings answers 501.',
  ),
  'missing-subject': rule(
    'Subject',
    'A caller limited to its own records must be a user',
    'Response 403',
    'A token without a subject owns no records. It is answered 403 before any record is looked at, so ' +
      'that it cannot find out which ids exist.',
  ),
  'learning-absent': rule(
    'Record',
    'The learning must exist',
    'Response 404',
    'A learning that does not exist is not found.',
  ),
  'learning-owned-by-another': rule(
    'Record',
    'A record of another owner is not found',
    'Response 404',
    'A caller can delete its own records. A record of another owner gets the same answer as an absent ' +
      'one, so that no caller finds out which ids others have.',
  ),
  'learning-unowned': rule(
    'Record',
    'Only an admin can delete a shared learning',
    'Delete Learning, description · Response 403',
    'Records with no owner, which agents, teams, sessions and entities share, can be deleted by an admin ' + 'only.',
  ),
  'deletion-denied': rule(
    'Deletion',
    'A guard retains the record',
    `${BEYOND} · Response 403`,
    'The policy permits the deletion, and a rule of the deployment, such as a legal hold, retains the ' +
      'record whatever the permissions of the caller are.',
  ),
  'storage-unavailable': rule(
    'Deletion',
    'Unavailable storage deletes nothing',
    BEYOND,
    'If the database is busy or unreachable, or the record keeps changing, nothing is deleted. The answer ' +
      'is 503, and the caller can retry.',
  ),
  'storage-failed': rule(
    'Deletion',
    'A failed deletion is an internal error',
    'Response 500',
    'If the database fails, nothing is deleted. The answer is 500; the cause is in the log only.',
  ),
  'outcome-unknown': rule(
    'Deletion',
    'An unknown outcome is reported as unknown',
    'Response 500',
    'If the connection is lost after the delete was sent, nobody knows whether the record was deleted. ' +
      'The answer is 500, and the audit event states “unknown”.',
  ),
  'unexpected-outcome': rule(
    'Deletion',
    'An impossible outcome is an internal error',
    'Response 500',
    'If the database reports an outcome that this deletion cannot have, the answer is 500.',
  ),
  'deleted-as-owner': rule(
    'Deletion',
    'The owner deletes its record',
    'Delete Learning, description · Response 204',
    'The learning is permanently deleted by its id. The delete itself contains the owner, so that the ' +
      'record cannot change hands in between.',
  ),
  'deleted-unconfined': rule(
    'Deletion',
    'A caller for all owners deletes the record',
    'Delete Learning, description · Response 204',
    'The learning is permanently deleted by its id. An admin, the security key, or a deployment that does ' +
      'not isolate its users is not limited to one owner.',
  ),
  'policy-error': rule(
    'Deletion',
    'A policy that fails deletes nothing more',
    'Response 500',
    'If the policy, a guard or the host fails, there is no valid decision. The answer is 500; the cause ' +
      'is in the log only.',
  ),
};
