-- Records of GitHub's audit log: of its API, of its export, and as it streams them.
-- How they get here: docs/sources/github.md.
--
--: source github
--: about GitHub: audit log of an organisation or enterprise
--
--: default serviceName 'GitHub'
--: default sourceIdentifier 'GitHub audit log'
--: default objectType 'ACTIVITY'
--: default noOfObjects 1
--
--: text _document_id, @timestamp, at_sign_timestamp, created_at, action, actor, actor_id, actor_ip
--: text actor_location.country_code, org, repo, repository, repo_id, user, visibility
--: text user_agent, programmatic_access_type

SELECT
    -- Milliseconds as GitHub writes them, or a time as collectors do.
    coalesce(TRY_CAST("@timestamp" AS BIGINT), epoch_ms("@timestamp"), epoch_ms(at_sign_timestamp),
             TRY_CAST(created_at AS BIGINT), epoch_ms(created_at)) AS timeStamp,
    _document_id AS activityId,

    action AS actionName,
    action AS operation,
    actor_id AS accountId,
    actor AS "user",
    org AS collabGroup,

    ip_address(actor_ip) AS sourceIP,
    country_code(actor_location.country_code) AS country,
    user_agent_name(user_agent) AS clientName,
    user_agent_os(user_agent) AS clientOS,
    coalesce(programmatic_access_type, user_agent_category(user_agent)) AS clientCategory,

    coalesce(repo_id, nullif(user, '')) AS targetId,
    CASE WHEN repo_id IS NOT NULL THEN 'repository' WHEN user <> '' THEN 'user' END AS targetType,

    coalesce(repo, repository) AS fileName,
    org AS fileFolderPath,
    org AS fileOwner,
    visibility AS fileType,
    CASE WHEN action IN ('repo.access', 'repo.create') THEN visibility = 'public' END AS fileSharingEnabled
FROM record
