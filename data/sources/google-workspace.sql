-- Activities of Google Workspace's Reports API (`items`), whose records hold one event or several; and
-- records with their one event taken out of its list, as collectors store them, whose parameters are
-- then an object. How they get here: docs/sources/google-workspace.md.
--
--: source google-workspace
--: about Google Workspace: activities of all applications
--: unwrap items[]
--: unnest events[]
--
--: default sourceIdentifier 'Google Workspace'
--: default objectType 'ACTIVITY'
--: default noOfObjects 1
--
--: text id.time, id.uniqueQualifier, id.applicationName, actor.email, actor.profileId, ipAddress
--: text events[].type, events[].name, events[].parameters[].name, events[].parameters[].value
--: text type, name, parameters.doc_id, parameters.doc_title, parameters.doc_type, parameters.owner
--: text parameters.visibility, parameters.visibility_change, parameters.target_user, parameters.USER_EMAIL

SELECT
    epoch_ms(id.time) AS timeStamp,
    -- The qualifier tells apart what happened at one time.
    CASE WHEN id.uniqueQualifier IS NOT NULL THEN joined('/', id.time, id.uniqueQualifier) END AS activityId,

    joined('.', coalesce(events.type, type), coalesce(events.name, name)) AS actionName,
    joined('.', coalesce(events.type, type), coalesce(events.name, name)) AS operation,
    id.applicationName AS serviceName,
    actor.profileId AS accountId,
    actor.email AS "user",
    split_part(lower(actor.email), '@', 2) AS collabGroup,
    split_part(lower(coalesce(value_of(events.parameters, 'name', 'target_user', 'value'), parameters.target_user)),
               '@', 2) AS collabGroupAndTarget,

    ip_address(ipAddress) AS sourceIP,

    coalesce(value_of(events.parameters, 'name', 'doc_id', 'value'), parameters.doc_id,
             value_of(events.parameters, 'name', 'USER_EMAIL', 'value'), parameters.USER_EMAIL) AS targetId,
    CASE WHEN coalesce(value_of(events.parameters, 'name', 'doc_id', 'value'), parameters.doc_id) IS NOT NULL
         THEN 'document'
         WHEN coalesce(value_of(events.parameters, 'name', 'USER_EMAIL', 'value'), parameters.USER_EMAIL) IS NOT NULL
         THEN 'user' END AS targetType,

    coalesce(value_of(events.parameters, 'name', 'doc_title', 'value'), parameters.doc_title) AS fileName,
    coalesce(value_of(events.parameters, 'name', 'doc_type', 'value'), parameters.doc_type) AS fileType,
    coalesce(value_of(events.parameters, 'name', 'owner', 'value'), parameters.owner) AS fileOwner,
    CASE coalesce(value_of(events.parameters, 'name', 'visibility_change', 'value'), parameters.visibility_change)
         WHEN 'external' THEN true
         ELSE coalesce(value_of(events.parameters, 'name', 'visibility', 'value'), parameters.visibility)
              NOT IN ('private', 'unknown') END AS fileSharingEnabled
FROM record
