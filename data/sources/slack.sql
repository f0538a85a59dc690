-- Entries of Slack's Audit Logs API (`entries`). How they get here: docs/sources/slack.md.
--
--: source slack
--: about Slack: audit logs of an Enterprise Grid
--: unwrap entries[]
--
--: default serviceName 'Slack'
--: default sourceIdentifier 'Slack audit logs'
--: default objectType 'ACTIVITY'
--
--: text id, date_create, action, actor.user.id, actor.user.email, actor.user.name
--: text context.ip_address, context.ua, context.location.domain
--: text entity.type, entity.user.id, entity.user.email, entity.app.id, entity.channel.id, entity.workspace.id
--: text entity.enterprise.id, entity.usergroup.id, entity.workflow.id
--: text entity.file.id, entity.file.name, entity.file.filetype

SELECT
    -- Seconds as Slack writes them, or a time as collectors do.
    coalesce(TRY_CAST(date_create AS BIGINT) * 1000, epoch_ms(date_create)) AS timeStamp,
    id AS activityId,

    action AS actionName,
    action AS operation,
    actor.user.id AS accountId,
    coalesce(nullif(actor.user.email, ''), actor.user.name) AS "user",
    split_part(lower(actor.user.email), '@', 2) AS collabGroup,
    split_part(lower(entity.user.email), '@', 2) AS collabGroupAndTarget,

    ip_address(context.ip_address) AS sourceIP,
    user_agent_name(context.ua) AS clientName,
    user_agent_os(context.ua) AS clientOS,
    user_agent_category(context.ua) AS clientCategory,
    context.location.domain AS siteUrl,

    coalesce(entity.user.email, entity.user.id, entity.file.id, entity.app.id, entity.channel.id, entity.workspace.id,
             entity.enterprise.id, entity.usergroup.id, entity.workflow.id) AS targetId,
    entity.type AS targetType,

    entity.file.name AS fileName,
    coalesce(entity.file.filetype, file_extension(entity.file.name)) AS fileType,
    CASE WHEN action IN ('file_public_link_created', 'file_shared') THEN true
         WHEN action = 'file_public_link_revoked' THEN false END AS fileSharingEnabled
FROM record
